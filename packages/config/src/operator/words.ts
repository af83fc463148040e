/**
 * Words that a schema is written in. A schema is plain data: validation, JSON Schema, the reference and `config explain`
 * are made of the same value, and TypeScript's types of it too.
 */

/** What is said of every key. */
export interface About {
  /** One or two sentences. */
  readonly about: string
  /** What holds when it is left out, as it would be written. */
  readonly preset?: unknown
  readonly example?: unknown
}

export interface TextNode extends About {
  readonly kind: 'text'
  /** What the text has to be, after "is not": `an IPv4 address`. */
  readonly what: string
  readonly accept: (text: string) => boolean
  readonly hint?: string
  /** The same for editors, as far as a regular expression can say it; never narrower than `accept`. */
  readonly pattern?: string
}

export interface ChoiceNode extends About {
  readonly kind: 'choice'
  readonly values: readonly (string | number | boolean)[]
  /** Why there is no other, where somebody would wonder. */
  readonly hint?: string
}

export interface WholeNumberNode extends About {
  readonly kind: 'wholeNumber'
  readonly what: string
  readonly min: number
  readonly max: number
}

export interface FlagNode extends About {
  readonly kind: 'flag'
}

export interface ListNode extends About {
  readonly kind: 'list'
  readonly item: Node
  readonly itemsMin: number
  readonly itemsMax: number
}

/** A table whose keys are known. */
export interface TableNode extends About {
  readonly kind: 'table'
  readonly keys: Readonly<Record<string, Node>>
  readonly required: readonly string[]
  /** What is told of another key; left out: that there is no such key. */
  readonly unknown?: string
}

/** A table whose keys are names that the operator gives. */
export interface NamesNode extends About {
  readonly kind: 'names'
  /** In paths of the reference: `<name>`. */
  readonly placeholder: string
  readonly what: string
  readonly pattern: string
  readonly namesMin: number
  readonly value: Node
}

/** The value of a directive: a scalar, or a list of scalars that repeats it. */
export interface DirectiveNode extends About {
  readonly kind: 'directive'
  /** More than one makes no sense. */
  readonly once: boolean
}

export type Node =
  | TextNode
  | ChoiceNode
  | WholeNumberNode
  | FlagNode
  | ListNode
  | TableNode
  | NamesNode
  | DirectiveNode

/** A node that carries the type of the values it accepts. */
export type Schema<T> = Node & { readonly value_?: T }
export type ValueOf<S> = S extends { readonly value_?: infer T } ? Exclude<T, undefined> : never

export type Scalar = string | number | boolean
export type Directive = Scalar | readonly Scalar[]

export function text(node: Omit<TextNode, 'kind'>): Schema<string> {
  return { kind: 'text', ...node }
}

export function choice<const T extends string | number | boolean>(
  values: readonly T[],
  node: About & { readonly hint?: string },
): Schema<T> {
  return { kind: 'choice', values, ...node }
}

/** What a number is called that has no name of its own. */
export const aWholeNumber = 'a whole number'

export function wholeNumber(
  min: number,
  max: number,
  node: About & { readonly what?: string },
): Schema<number> {
  return { kind: 'wholeNumber', what: aWholeNumber, min, max, ...node }
}

export function flag(node: About): Schema<boolean> {
  return { kind: 'flag', ...node }
}

export function list<T>(
  item: Schema<T>,
  node: About & { readonly itemsMin?: number; readonly itemsMax?: number },
): Schema<readonly T[]> {
  return { kind: 'list', itemsMin: 0, itemsMax: 1024, ...node, item: item as Node }
}

type Keys = Readonly<Record<string, Schema<unknown>>>
type TableValue<R extends Keys, O extends Keys> = { readonly [K in keyof R]: ValueOf<R[K]> } & {
  readonly [K in keyof O]?: ValueOf<O[K]>
}

export function table<const R extends Keys, const O extends Keys>(
  about: string,
  required: R,
  optional: O,
): Schema<TableValue<R, O>> {
  const keys = { ...required, ...optional } as Readonly<Record<string, Node>>
  return { kind: 'table', about, keys, required: Object.keys(required) }
}

export function names<T>(
  value: Schema<T>,
  node: About & Pick<NamesNode, 'placeholder' | 'what' | 'pattern'> & { readonly namesMin?: number },
): Schema<Readonly<Record<string, T>>> {
  return { kind: 'names', namesMin: 0, ...node, value: value as Node }
}

export function directive(about: string, { once = false } = {}): Schema<Directive> {
  return { kind: 'directive', about, once }
}
