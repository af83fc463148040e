import { expect, test } from 'vitest'
import { parseSigningTime, requireAll } from './signing.ts'

test('a release without any key names all that is missing', () => {
  expect(() => requireAll({ release: true, signingChain: 'chain.pem' })).toThrow(
    `a release needs production keys; missing:
  --keyring FILE: \`./atomixos keys keyring DIR -o keyring.pem\` makes it
  --signing-key FILE: DIR/signers/NAME/key.pem
  --signing-certificate FILE: DIR/signers/NAME/certificate.pem`,
  )
})

test.each(['keyring', 'signingKey', 'signingCertificate'] as const)(
  'a release without %s is refused',
  (name) => {
    const all = { keyring: 'a', signingKey: 'b', signingCertificate: 'c' }
    expect(requireAll(all)).toBe(all)
    expect(() => requireAll({ ...all, [name]: undefined })).toThrow('a release needs production keys')
  },
)

test('the time of signing is seconds since 1970, or the present', () => {
  expect(parseSigningTime('1795000000')).toBe(1_795_000_000)
  expect(parseSigningTime(undefined)).toBeUndefined()
  expect(() => parseSigningTime('yesterday')).toThrow('ATOMIXOS_SIGNING_TIME is "yesterday"')
})
