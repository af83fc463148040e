import { open } from 'node:fs/promises'
import { UserError } from '../errors.ts'

/** The parts of a bundle as they follow each other in the file; nothing is verified. */
export interface BundleParts {
  readonly path: string
  readonly sizeBytes: number
  /** squashfs and hash tree. */
  readonly payloadBytes: number
  /** CMS, DER. */
  readonly signature: Buffer
}

/** Of the signature's length, at the very end; big-endian. */
export const lengthBytes = 8
/** RAUC takes no larger one. */
const signatureBytesMax = 64 * 1024
const squashfsMagic = 'hsqs'
const squashfsSuperblockBytes = 96
/** First byte of DER's SEQUENCE: what a CMS message is. */
const derSequence = 0x30

/** Throws UserError (exit code 2) that says what is wrong with the file. */
export async function readBundle(path: string): Promise<BundleParts> {
  const refuse = (what: string, cause?: unknown) =>
    new UserError(`${path}: ${what}`, {
      hint: 'was it copied to its end? `sha256sum --check SHA256SUMS` beside a build tells',
      exitCode: 2,
      cause,
    })
  const file = await open(path, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path} cannot be read: ${cause.code ?? cause.message}`, { exitCode: 2, cause })
  })
  try {
    const status = await file.stat()
    if (!status.isFile()) throw refuse('is no file')
    const sizeBytes = status.size
    if (sizeBytes < squashfsSuperblockBytes + lengthBytes) {
      throw refuse(`${sizeBytes} bytes are no bundle`)
    }
    const magic = await readAt(0, squashfsMagic.length)
    if (magic.toString('latin1') !== squashfsMagic) throw refuse('does not begin with a squashfs: no bundle')
    const signatureBytes = (await readAt(sizeBytes - lengthBytes, lengthBytes)).readBigUInt64BE()
    if (signatureBytes === 0n) throw refuse('is not signed: its signature has no bytes')
    const payloadBytes = sizeBytes - lengthBytes - Number(signatureBytes)
    if (signatureBytes > BigInt(signatureBytesMax) || payloadBytes < squashfsSuperblockBytes) {
      throw refuse('is cut off or not signed: its end gives no length of a signature')
    }
    const signature = await readAt(payloadBytes, Number(signatureBytes))
    if (signature[0] !== derSequence) throw refuse('its end is no signature')
    return { path, sizeBytes, payloadBytes, signature }
  } finally {
    await file.close()
  }

  async function readAt(position: number, length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    const { bytesRead } = await file.read(bytes, 0, length, position)
    if (bytesRead !== length) throw refuse('became shorter while it was read')
    return bytes
  }
}
