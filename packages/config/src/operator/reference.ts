import { operatorSchema } from './contract.ts'
import { nearest } from './nearest.ts'
import { directives, type Section, verdictText } from './quadlet/directives.ts'
import type { Node } from './words.ts'

/** What is to be known of one key. */
export interface KeyReference {
  /** `network.interfaces.<ethN>.mode` */
  readonly key: string
  readonly type: string
  readonly required: boolean
  readonly about: string
  /** As it would be written; undefined where there is none. */
  readonly preset: string | undefined
  readonly example: string | undefined
}

/** Every key of the contract, in its order. Tables too. */
export function keyReferences(): KeyReference[] {
  return [...walk(operatorSchema, '', false)]
}

function* walk(node: Node, key: string, required: boolean): Generator<KeyReference> {
  if (key !== '') {
    yield {
      key,
      type: typeText(node),
      required,
      about: node.about,
      preset: node.preset === undefined ? undefined : tomlText(node.preset),
      example: node.example === undefined || node.kind === 'names' ? undefined : tomlText(node.example),
    }
  }
  const prefix = key === '' ? '' : `${key}.`
  if (node.kind === 'table') {
    for (const [name, member] of Object.entries(node.keys)) {
      yield* walk(member, `${prefix}${name}`, node.required.includes(name))
    }
  }
  if (node.kind === 'names') yield* walk(node.value, `${prefix}${node.placeholder}`, false)
}

function typeText(node: Node): string {
  switch (node.kind) {
    case 'table':
      return 'table'
    case 'names':
      return `tables by name (${node.placeholder})`
    case 'list':
      return `list of ${plural(node.item)}`
    case 'text':
      return node.what
    case 'choice':
      return node.values.map(tomlText).join(' or ')
    case 'wholeNumber':
      return `whole number, ${node.min} to ${node.max}`
    case 'flag':
      return 'true or false'
    case 'directive':
      return 'directive'
  }
}

function plural(node: Node): string {
  if (node.kind === 'wholeNumber') return `whole numbers, ${node.min} to ${node.max}`
  return node.kind === 'text' ? `texts, each ${node.what}` : `${typeText(node)} each`
}

/** Scalars and lists, as TOML has them. */
function tomlText(value: unknown): string {
  return Array.isArray(value) ? `[${value.map(tomlText).join(', ')}]` : JSON.stringify(value)
}

/** Keys that somebody may have meant: the very one, all with this last part, or those below it. */
export function findKeys(asked: string): {
  readonly found: readonly KeyReference[]
  readonly meant: string | undefined
} {
  const all = keyReferences()
  const wanted = asked.replace(/^\[|\]$/g, '')
  const exact = all.filter(({ key }) => sameKey(key, wanted))
  if (exact.length > 0) {
    const below = all.filter(({ key }) => exact.some((table) => isChild(key, table.key)))
    return { found: [...exact, ...below], meant: undefined }
  }
  const ends = all.filter(({ key }) => key.endsWith(`.${wanted}`))
  if (ends.length > 0) return { found: ends, meant: undefined }
  return {
    found: [],
    meant: nearest(wanted, [...all.map(({ key }) => key), ...all.map(({ key }) => key.split('.').at(-1)!)]),
  }
}

/** Names that the operator gives stand for themselves: `users.alice.shell` is `users.<name>.shell`. */
function sameKey(key: string, asked: string): boolean {
  const parts = key.split('.')
  const askedParts = asked.split('.')
  return (
    parts.length === askedParts.length &&
    parts.every(
      (part, index) => part === askedParts[index] || (part.startsWith('<') && askedParts[index] !== ''),
    )
  )
}

function isChild(key: string, table: string): boolean {
  return key.startsWith(`${table}.`) && !key.slice(table.length + 1).includes('.')
}

/** The reference of docs/config.md, in Markdown. */
export function renderReference(): string {
  const sections = Object.keys(directives) as Section[]
  return [renderKeyTable(), ...sections.map(renderDirectiveTable)].join('\n')
}

/** Every key but the directives of Quadlet, which have tables of their own. */
function renderKeyTable(): string {
  const rows = keyReferences()
    .filter(({ type }) => type !== 'directive')
    .map(({ key, type, required, about, preset }) => {
      const left = required ? 'needed' : preset === undefined ? '' : `\`${preset}\``
      return `| \`${key}\` | ${cell(type)} | ${cell(left)} | ${cell(about)} |`
    })
  return ['| key | type | left out | what it is |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

/** What each directive may be without privileges. */
function renderDirectiveTable(section: Section): string {
  const rows = Object.entries(directives[section]).map(
    ([name, verdict]) => `| \`${name}\` | ${cell(verdictText(verdict))} |`,
  )
  return [`| [${section}] | without privileges |`, '| --- | --- |', ...rows, ''].join('\n')
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
