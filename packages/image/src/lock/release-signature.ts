import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'

/** Debian's archive keys for the series that we build from: this repository's own anchor of trust. */
export const archiveKeysPath = join(import.meta.dirname, 'debian-archive-keys.asc')

/**
 * The signed text of an InRelease file, if one of the keys signed it and it is still valid. For the one case in which
 * there is no apt yet that could do this: see docs/lock.md. Throws UserError.
 *
 * @param now Milliseconds since 1970.
 */
export async function verifyRelease(
  inRelease: string,
  title: string,
  now: number,
  keysPath = archiveKeysPath,
) {
  // Large, and needed once in years: not loaded with every command.
  const { readCleartextMessage, readKeys, verify } = await import('openpgp')
  const hint = 'the mirror may be outdated or not Debian: choose another one with ATOMIXOS_DEBIAN_MIRROR'
  const verificationKeys = await readKeys({ armoredKeys: await readFile(keysPath, 'utf8') })
  const message = await readCleartextMessage({ cleartextMessage: inRelease }).catch((error: Error) => {
    throw new UserError(`${title} carries no signature: ${error.message}`, { hint, cause: error })
  })
  const { data, signatures } = await verify({ message, verificationKeys, date: new Date(now) })
  const outcomes = await Promise.allSettled(signatures.map(({ verified }) => verified))
  if (!outcomes.some(({ status }) => status === 'fulfilled')) {
    throw new UserError(`${title} is not signed by Debian`, { hint })
  }
  const validUntil = /^Valid-Until: (.*)$/m.exec(data)?.[1]
  if (validUntil !== undefined && !(Date.parse(validUntil) > now)) {
    throw new UserError(`${title} was valid until ${validUntil}: it is too old to be trusted`, { hint })
  }
  return data.replaceAll('\r\n', '\n')
}
