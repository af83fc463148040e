import { randomInt } from 'node:crypto'

/** Without what is mistaken for another one on a label or a telephone: 0 and o, 1, l and i, u and v. */
const letters = '23456789abcdefghjkmnpqrstwxyz'
const groups = 4
const groupLength = 4

/** `7kfp-2xq9-m4tn-c8hd`: 77 bits that nobody has chosen, on 16 keys. */
export function makeClaimCode(): string {
  const group = () => Array.from({ length: groupLength }, () => letters[randomInt(letters.length)]).join('')
  return Array.from({ length: groups }, group).join('-')
}

/** Why a text cannot be a claim code; undefined when it can. It is typed, sent in a header and read by a shell. Pure. */
export function claimCodeProblem(code: string): string | undefined {
  if (!/^[A-Za-z0-9._-]*$/.test(code)) return 'it is made of letters, digits, ".", "_" and "-"'
  // Attempts are counted, one in 30 seconds; what is shorter is still a word that people try.
  if (code.length < 8) return 'it has 8 characters at least'
  if (code.length > 64) return 'it has 64 characters at most'
  return undefined
}
