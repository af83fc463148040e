import { parseIpv4 } from './ipv4.ts'

const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const namePattern = new RegExp(`^${label}(?:\\.${label})*$`)

/** A name of the DNS that a machine can have: letters, digits, hyphens; at most 253 characters. */
export function isDnsName(text: string): boolean {
  // What looks like an address is none.
  return text.length <= 253 && namePattern.test(text) && !/^[\d.]+$/.test(text)
}

export function isIpAddress(text: string): boolean {
  return parseIpv4(text) !== undefined || isIpv6(text)
}

/** Without zone, and without the form that ends in an IPv4 address. */
function isIpv6(text: string): boolean {
  if (text.length > 39 || !/^[0-9A-Fa-f:]+$/.test(text)) return false
  const halves = text.split('::')
  if (halves.length > 2) return false
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')))
  if (groups.some((group) => !/^[0-9A-Fa-f]{1,4}$/.test(group))) return false
  return halves.length === 2 ? groups.length <= 7 : groups.length === 8
}
