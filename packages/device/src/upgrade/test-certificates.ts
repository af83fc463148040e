/**
 * For tests: X.509 certificates made on the spot, so that no key lies in the repository and no program is needed. Just
 * as much DER (ITU-T X.690) as RFC 5280 asks for.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface TestCertificate {
  readonly key: KeyObject
  readonly pem: string
  readonly keyPem: string
  readonly name: string
}

const dayMs = 86_400_000

export function makeCertificate(options: {
  name: string
  /** Absent: signs itself. */
  issuer?: TestCertificate
  authority?: boolean
  ipAddress?: string
  startMs?: number
  endMs?: number
}): TestCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { startMs = Date.now() - dayMs, endMs = Date.now() + dayMs } = options
  const extensions = [
    // Basic constraints, critical.
    sequence(
      oid('551d13'),
      der(0x01, Buffer.from([0xff])),
      octets(sequence(...(options.authority ? [true_] : []))),
    ),
  ]
  if (options.ipAddress !== undefined) {
    const address = Buffer.from(options.ipAddress.split('.').map(Number))
    extensions.push(sequence(oid('551d11'), octets(sequence(der(0x87, address)))))
  }
  const toSign = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(options.issuer?.name ?? options.name),
    sequence(time(startMs), time(endMs)),
    commonName(options.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', toSign, options.issuer?.key ?? privateKey)
  const certificate = sequence(
    toSign,
    ecdsaWithSha256,
    der(0x03, Buffer.concat([Buffer.from([0]), signature])),
  )
  const lines = certificate.toString('base64').match(/.{1,64}/g)!
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return {
    key: createPrivateKey(keyPem),
    keyPem,
    pem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    name: options.name,
  }
}

function der(tag: number, content: Buffer): Buffer {
  const length = content.length
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...lengthBytes]), content])
}

function sequence(...parts: Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes)
}

function octets(bytes: Buffer): Buffer {
  return der(0x04, bytes)
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'))
}

function commonName(name: string): Buffer {
  return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name)))))
}

function time(ms: number): Buffer {
  // GeneralizedTime, which OpenSSL takes for every year.
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return der(0x18, Buffer.from(digits))
}

const true_ = der(0x01, Buffer.from([0xff]))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
