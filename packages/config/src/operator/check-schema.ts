import { nearest } from './nearest.ts'
import { type Path, pathText, type Tell, valueText } from './places.ts'
import {
  aWholeNumber,
  type DirectiveNode,
  type ListNode,
  type NamesNode,
  type Node,
  type TableNode,
} from './words.ts'

/** Tells everything in which a value differs from its schema. Deeper than the schema nothing is looked at. Pure. */
export function checkSchema(node: Node, value: unknown, path: Path, tell: Tell): void {
  switch (node.kind) {
    case 'table':
      checkTable(node, value, path, tell)
      break
    case 'names':
      checkNames(node, value, path, tell)
      break
    case 'directive':
      checkDirective(node, value, path, tell)
      break
    case 'list':
      checkList(node, value, path, tell)
      break
    case 'text':
      if (typeof value !== 'string' || !node.accept(value)) {
        tell(path, `${valueText(value)} is not ${node.what}`, node.hint)
      }
      break
    case 'choice':
      if (!node.values.some((allowed) => allowed === value)) {
        const allowed = `allowed: ${node.values.map(valueText).join(', ')}`
        const hint = node.hint === undefined ? allowed : `${allowed}; ${node.hint}`
        tell(path, `${valueText(value)} is not allowed`, hint)
      }
      break
    case 'wholeNumber':
      if (typeof value !== 'number' || !Number.isInteger(value) || value < node.min || value > node.max) {
        // What is a port says which numbers it means; a number that is too large is a whole one all the same.
        const isWhole = typeof value === 'number' && Number.isInteger(value) && node.what === aWholeNumber
        const wrong = isWhole ? `too ${value < node.min ? 'small' : 'large'}` : `not ${node.what}`
        tell(path, `${valueText(value)} is ${wrong}`, `allowed: ${node.min} to ${node.max}`)
      }
      break
    case 'flag':
      if (typeof value !== 'boolean')
        tell(path, `${valueText(value)} is not a boolean`, 'allowed: true, false')
  }
}

function checkList(node: ListNode, value: unknown, path: Path, tell: Tell): void {
  if (!Array.isArray(value)) {
    tell(path, `${valueText(value)} is not a list`, 'a list stands in brackets: [...]')
    return
  }
  if (value.length < node.itemsMin) tell(path, 'the list is empty', `at least ${node.itemsMin} is needed`)
  if (value.length > node.itemsMax) {
    tell(path, `the list has ${value.length} entries`, `at most ${node.itemsMax} are allowed`)
    return
  }
  for (const [index, item] of value.entries()) checkSchema(node.item, item, [...path, index], tell)
}

export function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
}

function checkTable(node: TableNode, value: unknown, path: Path, tell: Tell): void {
  if (!isTable(value)) {
    tell(path, `${valueText(value)} is not a table`)
    return
  }
  for (const [key, member] of Object.entries(value)) {
    if (Object.hasOwn(node.keys, key)) checkSchema(node.keys[key]!, member, [...path, key], tell)
    else tell([...path, key], node.unknown ?? 'there is no such key', keyHint(key, Object.keys(node.keys)))
  }
  for (const key of node.required) {
    if (!Object.hasOwn(value, key))
      tell([...path, key], 'it is missing', missingHint(node.keys[key]!, [...path, key]))
  }
}

function keyHint(key: string, allowed: readonly string[]): string {
  const meant = nearest(key, allowed)
  if (meant !== undefined) return `did you mean "${meant}"?`
  return allowed.length > 12
    ? `there are ${allowed.length} others: see docs/config.md`
    : `allowed: ${allowed.join(', ')}`
}

function missingHint(node: Node, path: Path): string | undefined {
  if (node.kind === 'table') return `write a table [${pathText(path)}]`
  if (node.kind === 'names') return `write a table for each, such as [${pathText(path)}.${node.example}]`
  if (node.example !== undefined) return `for example ${JSON.stringify(node.example)}`
  return node.kind === 'flag' ? 'say true or false' : undefined
}

function checkNames(node: NamesNode, value: unknown, path: Path, tell: Tell): void {
  if (!isTable(value)) {
    tell(path, `${valueText(value)} is not a table`)
    return
  }
  const pattern = new RegExp(node.pattern)
  const entries = Object.entries(value)
  if (entries.length < node.namesMin) tell(path, 'the table is empty', `at least ${node.namesMin} is needed`)
  for (const [name, member] of entries) {
    const memberPath = [...path, name]
    if (pattern.test(name)) checkSchema(node.value, member, memberPath, tell)
    else
      tell(
        memberPath,
        `${valueText(name)} is not ${node.what}`,
        node.example === undefined ? undefined : `for example ${JSON.stringify(node.example)}`,
      )
  }
}

function checkDirective({ once }: DirectiveNode, value: unknown, path: Path, tell: Tell): void {
  if (!Array.isArray(value)) {
    checkScalar(value, path, tell)
  } else if (once && value.length !== 1) {
    tell(path, `the list has ${value.length} entries`, 'exactly one is needed')
  } else {
    for (const [index, item] of value.entries()) checkScalar(item, [...path, index], tell)
  }
}

function checkScalar(value: unknown, path: Path, tell: Tell): void {
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return
  if (typeof value !== 'string') {
    const hint = 'allowed: text, numbers, true, false, and lists of these'
    tell(path, `${valueText(value)} is not the value of a directive`, hint)
  } else if (/[\0\r\n]/.test(value)) {
    const hint = 'a directive is one line: repeat it with a list'
    tell(path, `${valueText(value)} has a line break or NUL in it`, hint)
  } else if (/\\\s*$/.test(value)) {
    // Both Quadlet and systemd would take the next line, whatever it says, for the rest of this one.
    tell(path, `${valueText(value)} ends in a backslash`, 'it would swallow the directive after it')
  } else if (!value.isWellFormed()) tell(path, `${valueText(value)} is not valid text`)
}
