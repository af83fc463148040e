/**
 * Takes out of text for other people what is nobody else's business. Pure, in time that grows with the text.
 *
 * It knows secrets by their form and by the names that stand before them. What neither looks nor is called like one
 * is not found; so nothing goes into a report that is there to hold secrets: no settings, no keys, no environments.
 */
export function redact(text: string): string {
  return rules.reduce((redacted, rule) => rule(redacted), text)
}

export const removed = '[removed]'

/** In how many places something was taken out. Pure. */
export function countRemoved(text: string): number {
  return text.split(removed).length - 1
}

/** A name that says what its value is. */
const secretName =
  '[\\w.-]{0,80}(?:passw|passphrase|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|pre-?shared[_-]?key|psk|credential|cookie)[\\w.-]{0,40}'

/** Quoted with what belongs to it, or up to a space. */
const value = '(?:"(?:[^"\\\\\\n]|\\\\.)*"?|\'[^\'\\n]*\'?|[^\\s,;&"\']+)'

type Rule = (text: string) => string

const replace =
  (pattern: RegExp, by: string | ((...groups: string[]) => string)): Rule =>
  (text) =>
    text.replace(pattern, by as string)

const rules: readonly Rule[] = [
  // Whole blocks; one that has no end goes to the end of the text.
  replace(
    /-----BEGIN ([A-Z0-9 ]{0,40}(?:PRIVATE KEY|Static key)[A-Z0-9 ]{0,20})-----[\s\S]*?(?:-----END \1-----|$(?![\s\S]))/gi,
    removed,
  ),
  // Headers: everything to the end of the line.
  replace(
    /\b((?:proxy-)?authorization|(?:set-)?cookie|x-[a-z-]{0,40}(?:token|key|signature|nonce|claim))(["']?\s{0,8}:\s{0,8})[^\n]+/gi,
    (_, name, colon) => `${name}${colon}${removed}`,
  ),
  replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, (_, scheme) => `${scheme} ${removed}`),
  // In addresses: who logs in, and all that is asked.
  replace(/\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#"'<>]*@/gi, (_, scheme) => `${scheme}${removed}@`),
  replace(
    /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s?#"'<>]*)\?[^\s#"'<>]*/gi,
    (_, before) => `${before}?${removed}`,
  ),
  // Environments, in units and on command lines.
  replace(/^(\s*Environment\s*=)[^\n]+/gim, (_, directive) => `${directive}${removed}`),
  replace(
    /(^|\s)(--env[ =]|-e[ =]?)(?:(["'])([A-Za-z_][A-Za-z0-9_]*)=[^\n]*?\3|([A-Za-z_][A-Za-z0-9_]*)=(?:"[^"\n]*"?|'[^'\n]*'?|[^\s"']+)+)/gm,
    (_, space, option, _quote, quoted, plain) => `${space}${option}${quoted ?? plain}=${removed}`,
  ),
  replace(
    new RegExp(`((?<![\\w.-])["']?${secretName}["']?\\s{0,8}[=:]\\s{0,8})(?!\\[removed\\])${value}`, 'gi'),
    (_, name) => `${name}${removed}`,
  ),
  // Options of programs, with a space before their value.
  replace(
    new RegExp(`((?<![\\w.-])--?${secretName}\\s{1,8})(?!\\[removed\\]|-)${value}`, 'gi'),
    (_, name) => `${name}${removed}`,
  ),
  // The name and the password of a file for OpenVPN.
  replace(
    /<(auth-user-pass|tls-auth|tls-crypt(?:-v2)?|secret|key|pkcs12)>[\s\S]*?(?:<\/\1>|$(?![\s\S]))/gi,
    (_, name) => `<${name}>${removed}`,
  ),
  // Tokens that say whose they are: GitHub, GitLab, Slack, AWS, Docker, npm.
  replace(
    /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|dckr_pat_|npm_)[\w-]{10,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
    removed,
  ),
  // JSON web tokens, and hashes of passwords.
  replace(/\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?/g, removed),
  replace(/\$(?:[0-9][a-z]?|y|gy|sha1|md5)\$[\w./$=,+-]{8,}/g, removed),
  // Public, and yet a person's: enough to recognize it.
  replace(
    /\b((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]{2,40}\s+)(AAAA[\w+/]{8})[\w+/=]{8,}([\w+/]{6}={0,2})/g,
    (_, type, start, end) => `${type}${start}...${end}`,
  ),
]
