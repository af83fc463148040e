import { spdxExpression } from './spdx.ts'

/** What a Debian package's copyright file says about licences. */
export type PackageLicense =
  /** Machine-readable (DEP-5): one SPDX expression for all of its files. */
  | { readonly kind: 'expression'; readonly expression: string }
  /** Written for people only; the texts in /usr/share/common-licenses that it refers to. */
  | { readonly kind: 'text'; readonly commonLicenses: readonly string[] }
  | { readonly kind: 'missing' }

export function parseCopyright(text: string): PackageLicense {
  const paragraphs = text
    .replaceAll('\r\n', '\n')
    .split(/\n[ \t]*\n/)
    .map(parseFields)
  if (!/copyright-format|dep\.debian\.net\/deps\/dep5|dep-?5/i.test(paragraphs[0]?.get('format') ?? '')) {
    const mentioned = [...text.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z0-9.-]*[A-Za-z0-9])/g)]
    return { kind: 'text', commonLicenses: [...new Set(mentioned.map((match) => match[1]!))].sort() }
  }
  // Stand-alone licence paragraphs give texts for names that others use.
  const used = paragraphs
    .filter((fields, index) => index === 0 || fields.has('files'))
    .map((fields) => fields.get('license')?.trim())
    .filter((name) => name !== undefined && name !== '')
  if (used.length === 0) return { kind: 'text', commonLicenses: [] }
  const expressions = [...new Set(used.map((name) => spdxExpression(name!)))].sort()
  if (expressions.length === 1) return { kind: 'expression', expression: expressions[0]! }
  const grouped = expressions.map((text) => (/ (?:AND|OR) /.test(text) ? `(${text})` : text))
  return { kind: 'expression', expression: grouped.join(' AND ') }
}

/** First lines of a paragraph's fields, by lower-case name. */
function parseFields(paragraph: string): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of paragraph.split('\n')) {
    const match = /^([A-Za-z-]+):[ \t]*(.*)$/.exec(line)
    if (match !== null) fields.set(match[1]!.toLowerCase(), match[2]!)
  }
  return fields
}
