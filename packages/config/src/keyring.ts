import { keyringPath } from './update.ts'

/**
 * How a device judges who signed a bundle: `[keyring]` of RAUC's system.conf, line by line. The builder judges with
 * the same lines. Keys that RAUC 1.13 does not know would stop it.
 *
 * A board without a clock battery cannot say whether a certificate has expired, so the time in the signature counts;
 * docs/keys.md says what that does not protect from. A certificate must be for signing code, and an authority without
 * a revocation list is not trusted.
 */
export function keyringSection(path: string = keyringPath): string[] {
  return [
    '[keyring]',
    `path=${path}`,
    'check-crl=true',
    'check-purpose=codesign',
    'use-bundle-signing-time=true',
  ]
}
