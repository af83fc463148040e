import { describe, expect, test } from 'vitest'
import { redact, removed } from './redact.ts'

const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIGtleW1hdGVyaWFsdGhhdGlzbG9uZ2Vub3VnaA'

describe('what is taken out', () => {
  test.each([
    ['an address with a password', 'GET https://ops:hunter2@host/x', `GET https://${removed}@host/x`],
    ['an address with a query', 'https://h/x?sig=hunter2&a=b#c', `https://h/x?${removed}#c`],
    ['a header', 'Authorization: Basic aHVudGVyMg== x', `Authorization: ${removed}`],
    ['a header in a list', "{ 'x-api-token': 'hunter2' }", `{ 'x-api-token': ${removed}`],
    ['a bearer token in a sentence', 'sent Bearer hunter2hunter2', `sent Bearer ${removed}`],
    ['an environment', 'Environment=DB=hunter2 "X=hunter2 y"', `Environment=${removed}`],
    ['an environment of a command', 'podman run -e DB=hunter2 img', `podman run -e DB=${removed} img`],
    ['a quoted one', 'run --env "DB=hunter2 more" img', `run --env DB=${removed} img`],
    ['a name and a value', 'db_password=hunter2, next', `db_password=${removed}, next`],
    ['JSON', '{"apiKey": "hunter2 \\" x", "a": 1}', `{"apiKey": ${removed}, "a": 1}`],
    ['YAML', 'clientSecret: hunter2', `clientSecret: ${removed}`],
    ['a web token', 'got eyJhbGciOiJIUzI1.eyJodW50ZXIyIjoxfQ.c2ln', `got ${removed}`],
    ['a hash of a password', 'root:$6$salt$hunter2hunter2:1', `root:${removed}:1`],
    [
      'a private key',
      'a\n-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n-----END OPENSSH PRIVATE KEY-----\nb',
      `a\n${removed}\nb`,
    ],
    ['one without its end', '-----BEGIN RSA PRIVATE KEY-----\nhunter2\n', removed],
    ['a key of WireGuard', 'PresharedKey = aHVudGVyMmh1bnRlcjI=', `PresharedKey = ${removed}`],
    ['a key of Wi-Fi', 'psk="hunter2 more"', `psk=${removed}`],
    ['a claim', 'X-AtomixOS-Claim: hunter2', `X-AtomixOS-Claim: ${removed}`],
    ['an option with a space', 'app --db-password hunter2 --port 1', `app --db-password ${removed} --port 1`],
    [
      'a login of OpenVPN',
      '<auth-user-pass>\nme\nhunter2\n</auth-user-pass>\nx',
      `<auth-user-pass>${removed}\nx`,
    ],
    ['a token of a forge', 'clone with ghp_hunter2hunter2hunter2', `clone with ${removed}`],
    ['most of a public key', `ssh-ed25519 ${key} a@b`, 'ssh-ed25519 AAAAC3NzaC1l...b3VnaA a@b'],
  ])('%s', (_, text, expected) => {
    expect(redact(text)).toBe(expected)
  })
})

test('what a reader needs stays as it is', () => {
  const text = [
    '2026-11-27T13:52:36.123456+00:00 kernel: Booting Linux on physical CPU 0x0',
    'rauc status: slot A booted, sha256=0f343b0931126a20f133d67c2b018a3b',
    'https://updates.example/api/v1/updates/latest answered 503',
    'sshd[12]: Accepted publickey for ops from 192.0.2.1 port 22: ED25519 SHA256:abcdef',
    'BOOT_ORDER=A B',
    'a@b.example wrote to c@d.example',
  ].join('\n')
  expect(redact(text)).toBe(text)
})

/** xorshift32: the same for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const around = [
  'a word',
  ' ',
  '\n',
  '"',
  "'",
  '=',
  ': ',
  ',',
  'https://h/p',
  '{',
  'Übergröße',
  '\u0000',
  '-----BEGIN X-----',
  removed,
]
const secretAlphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+/.~!*'
const carriers: readonly ((secret: string) => string)[] = [
  (secret) => `\npassword=${secret}\n`,
  (secret) => `\n"db_token": "${secret}"\n`,
  (secret) => `\nAuthorization: Bearer ${secret}\n`,
  (secret) => `\nEnvironment="X=${secret}"\n`,
  (secret) => `\npodman run -e X=${secret} image\n`,
  (secret) => `\nhttps://user:${secret.replaceAll('/', '_')}@host/\n`,
  (secret) => `\nhttps://host/path?key=${secret}\n`,
  (secret) => `\n-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`,
]

describe('whatever stands around it', () => {
  test.each(Array.from({ length: 300 }, (_, index) => index + 1))('seed %i', (seed) => {
    const below = numbers(seed * 2654435761)
    const noise = () => Array.from({ length: below(12) }, () => around[below(around.length)]).join('')
    const secret = `Zq${Array.from({ length: 8 + below(40) }, () => secretAlphabet[below(secretAlphabet.length)]).join('')}`
    const carrier = carriers[below(carriers.length)]!
    // What belongs to the address is another one then, and not that name's value.
    const text = `${noise()}${carrier(secret)}${noise()}`
    const once = redact(text)
    expect(once).not.toContain(secret)
    expect(once).not.toContain(secret.replaceAll('/', '_'))
    expect(redact(once)).toBe(once)
  })

  test.each([
    'token',
    'a=',
    '://',
    'password:"',
    '-----BEGIN PRIVATE KEY-----',
    'ssh-rsa AAAA',
    'x@',
    '-e A=',
  ])('a megabyte of %s costs no more than its length', (piece) => {
    const startMs = performance.now()
    redact(piece.repeat(Math.ceil((1 << 20) / piece.length)))
    expect(performance.now() - startMs).toBeLessThan(10_000)
  })
})
