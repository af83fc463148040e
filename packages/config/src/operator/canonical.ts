import { stringify } from 'smol-toml'
import { isTable } from './check-schema.ts'
import { type OperatorConfig, operatorSchema } from './contract.ts'
import type { Node } from './words.ts'

/**
 * The one way of writing a configuration: keys in the order of the contract, names in alphabetical order, no comments,
 * nothing that the operator did not say. What means the same gives the same bytes.
 */
export function toToml(config: OperatorConfig): string {
  return `${stringify(inOrder(operatorSchema, config) as Record<string, unknown>).trimEnd()}\n`
}

function inOrder(node: Node | undefined, value: unknown): unknown {
  if (!isTable(value)) return value
  const known = node?.kind === 'table' ? Object.keys(node.keys) : []
  const rank = (key: string) => (known.includes(key) ? known.indexOf(key) : known.length)
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
  return Object.fromEntries(
    entries.map(([key, member]) => {
      if (node?.kind === 'names') return [key, inOrder(node.value, member)]
      if (node?.kind === 'table' && Object.hasOwn(node.keys, key))
        return [key, inOrder(node.keys[key], member)]
      return [key, member]
    }),
  )
}
