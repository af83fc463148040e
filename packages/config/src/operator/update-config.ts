import { toToml } from './canonical.ts'
import { checkConfig } from './check-config.ts'
import { isTable } from './check-schema.ts'
import type { OperatorConfig } from './contract.ts'
import { type ConfigProblem, type Finding, pathText } from './places.ts'

/** What can be put and removed by name, as the API's paths call it, and where it stands. */
export const updateTables = {
  users: ['users'],
  containers: ['containers', 'container'],
  'container-networks': ['containers', 'network'],
  'container-volumes': ['containers', 'volume'],
} as const

export type Update =
  | { readonly put: keyof typeof updateTables; readonly name: string; readonly value: unknown }
  | { readonly remove: keyof typeof updateTables; readonly name: string }
  /** RFC 7396: what is there is replaced, null takes it away, the rest stays. */
  | { readonly patch: 'network'; readonly value: unknown }

export interface UpdatedConfig {
  /** Undefined with a single problem: nothing has changed then. */
  readonly config: OperatorConfig | undefined
  /** The new config.toml, canonical. */
  readonly toml: string | undefined
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
}

/** The configuration with one part changed, through the very same validation. Gives a new value. Never throws. Pure. */
export function updateConfig(config: OperatorConfig, update: Update): UpdatedConfig {
  const changed = change(config, update)
  if ('message' in changed) return { config: undefined, toml: undefined, problems: [changed], warnings: [] }
  const checked = checkConfig(changed.value)
  return {
    config: checked.config,
    toml: checked.config === undefined ? undefined : toToml(checked.config),
    problems: checked.problems.map(told),
    warnings: checked.warnings.map(told),
  }
}

function told({ path, message, hint }: Finding): ConfigProblem {
  return { path: pathText(path), message, ...(hint !== undefined && { hint }) }
}

function change(config: OperatorConfig, update: Update): { readonly value: unknown } | ConfigProblem {
  if ('patch' in update) {
    if (!isTable(update.value)) {
      return {
        path: 'network',
        message: 'the change is not an object',
        hint: 'such as { "dns_servers": ["192.0.2.53"] }',
      }
    }
    if (isDeeper(update.value, depthMax))
      return { path: 'network', message: 'the change is nested too deeply' }
    const network = patched(config.network, update.value)
    return {
      value: withMember(
        config,
        'network',
        isTable(network) && Object.keys(network).length === 0 ? undefined : network,
      ),
    }
  }
  const path: readonly string[] = updateTables['put' in update ? update.put : update.remove]
  const { name } = update
  if ('remove' in update && memberAt(config, [...path, name]) === undefined) {
    return { path: pathText([...path, name]), message: 'it is not there' }
  }
  return { value: withMemberAt(config, [...path, name], 'put' in update ? update.value : undefined) }
}

/** More than the schema has. */
const depthMax = 8

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((member) => isDeeper(member, depth - 1))
}

function patched(value: unknown, patch: unknown): unknown {
  if (!isTable(patch)) return patch
  let result: Readonly<Record<string, unknown>> = isTable(value) ? value : {}
  for (const [key, member] of Object.entries(patch)) {
    const before = Object.hasOwn(result, key) ? result[key] : undefined
    result = withMember(result, key, member === null ? undefined : patched(before, member))
  }
  return result
}

function memberAt(value: unknown, path: readonly string[]): unknown {
  let found = value
  for (const key of path) found = isTable(found) && Object.hasOwn(found, key) ? found[key] : undefined
  return found
}

function withMemberAt(value: unknown, [key, ...rest]: readonly string[], member: unknown): unknown {
  const table = isTable(value) ? value : {}
  const before = Object.hasOwn(table, key!) ? table[key!] : undefined
  return withMember(table, key!, rest.length === 0 ? member : withMemberAt(before, rest, member))
}

/** Undefined takes it away. Made of entries: a name such as `__proto__` is a name like any other. */
function withMember(
  table: Readonly<Record<string, unknown>>,
  key: string,
  member: unknown,
): Readonly<Record<string, unknown>> {
  const others = Object.entries(table).filter(([name]) => name !== key)
  return Object.fromEntries(member === undefined ? others : [...others, [key, member]])
}
