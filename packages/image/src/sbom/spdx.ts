/**
 * Names of licences in Debian's machine-readable copyright files, as SPDX writes them. Only what is certain: a
 * name that is not known becomes a `LicenseRef-debian-...`, never a guess.
 */

const versionsKnown: Readonly<Record<string, readonly string[]>> = {
  AGPL: ['1.0', '3.0'],
  GPL: ['1.0', '2.0', '3.0'],
  LGPL: ['2.0', '2.1', '3.0'],
  GFDL: ['1.1', '1.2', '1.3'],
}

/** Lower-case Debian name to SPDX id, where they differ by more than case or mean the same text. */
const names: Readonly<Record<string, string>> = Object.fromEntries(
  [
    '0BSD',
    'AFL-2.1',
    'Apache-1.0',
    'Apache-1.1',
    'Apache-2.0',
    'Artistic-1.0',
    'Artistic-2.0',
    'Beerware',
    'BSD-1-Clause',
    'BSD-2-Clause',
    'BSD-3-Clause',
    'BSD-3-Clause-Attribution',
    'BSD-4-Clause',
    'BSD-4-Clause-UC',
    'BSL-1.0',
    'CC0-1.0',
    'CC-BY-3.0',
    'CC-BY-4.0',
    'CC-BY-SA-3.0',
    'CC-BY-SA-4.0',
    'CDDL-1.0',
    'curl',
    'EPL-1.0',
    'EPL-2.0',
    'FSFAP',
    'FSFUL',
    'FSFULLR',
    'FTL',
    'HPND',
    'IJG',
    'ISC',
    'Latex2e',
    'MIT',
    'MIT-0',
    'MPL-1.1',
    'MPL-2.0',
    'OFL-1.0',
    'OFL-1.1',
    'OLDAP-2.8',
    'OpenSSL',
    'PostgreSQL',
    'Unicode-3.0',
    'Unicode-DFS-2016',
    'Unlicense',
    'WTFPL',
    'X11',
    'Zlib',
  ].map((id) => [id.toLowerCase(), id]),
)
/** Short names that Debian's copyright format defines. */
const synonyms: Readonly<Record<string, string>> = {
  expat: 'MIT',
  cc0: 'CC0-1.0',
  'openldap-2.8': 'OLDAP-2.8',
  'wtfpl-2': 'WTFPL',
}

const exceptions: Readonly<Record<string, string>> = {
  autoconf: 'Autoconf-exception-generic',
  libtool: 'Libtool-exception',
  bison: 'Bison-exception-2.2',
  'linux-syscall-note': 'Linux-syscall-note',
}

/** The SPDX expression for a licence field's first line: `GPL-2+ or Artistic-2.0, and Expat`. */
export function spdxExpression(text: string): string {
  return joined(text, [/\s*,\s*and\s+/i, /\s*,\s*or\s+/i, /\s+or\s+/i, /(?:\s+and\s+|\s*,\s*|\s+&\s+)/i]).text
}

const operators = [' AND ', ' OR ', ' OR ', ' AND ']

/** A comma before the word binds weaker than none; `and` binds stronger than `or`. */
function joined(text: string, separators: readonly RegExp[]): { text: string; compound: boolean } {
  const [separator, ...rest] = separators
  if (separator === undefined) return { text: spdxName(text.trim()), compound: false }
  const parts = text.split(separator).filter((part) => part.trim() !== '')
  if (parts.length <= 1) return joined(parts[0] ?? text, rest)
  const operator = operators[operators.length - separators.length]!
  const converted = parts.map((part) => {
    const inner = joined(part, rest)
    return inner.compound ? `(${inner.text})` : inner.text
  })
  return { text: [...new Set(converted)].join(operator), compound: new Set(converted).size > 1 }
}

function spdxName(name: string): string {
  const gnu = /^(AGPL|GPL|LGPL|GFDL)-(\d)(?:\.(\d))?(\+)?(?:\s+with\s+([\w-]+)\s+exception)?$/i.exec(name)
  if (gnu !== null) {
    const [, family, major, minor = '0', later, exceptionName] = gnu
    const known = versionsKnown[family!.toUpperCase()]!.includes(`${major}.${minor}`)
    const exception = exceptionName === undefined ? undefined : exceptions[exceptionName.toLowerCase()]
    if (known && (exceptionName === undefined) === (exception === undefined)) {
      const id = `${family!.toUpperCase()}-${major}.${minor}-${later === undefined ? 'only' : 'or-later'}`
      return exception === undefined ? id : `${id} WITH ${exception}`
    }
  }
  const lower = name.toLowerCase()
  return names[lower] ?? synonyms[lower] ?? `LicenseRef-debian-${name.replaceAll(/[^A-Za-z0-9.]+/g, '-')}`
}
