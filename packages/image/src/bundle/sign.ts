import { constants } from 'node:fs'
import { copyFile, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Signer } from '../keys/authority.ts'
import { passphraseArguments } from '../keys/openssl.ts'
import { libfaketimePath } from '../tools/sandbox.ts'
import type { ToolTree } from '../tools/tools.ts'
import { lengthBytes } from './read.ts'

export interface SignOptions {
  readonly signer: Signer
  /** What the signature says about when it was made; undefined: now. In seconds since 1970. */
  readonly signingTimeSeconds?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * A CMS signature (DER) that carries the manifest inside, with the certificates up to the root. The time in it is
 * signed: a device without a clock judges by it. With a time given, the same bytes each time.
 */
export async function signManifest(
  tools: ToolTree,
  manifestText: string,
  options: SignOptions,
): Promise<Buffer> {
  const { signer, signingTimeSeconds, signal } = options
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-sign-'))
  try {
    await writeFile(join(dir, 'manifest'), manifestText)
    const chain = signer.chainPath === undefined ? '' : await readFile(signer.chainPath, 'utf8')
    await writeFile(join(dir, 'chain.pem'), chain)
    await tools.run({
      argv: [
        ...(['/usr/bin/openssl', 'cms', '-sign', '-binary', '-nodetach', '-nosmimecap'] as const),
        // The signer by the hash of its key. By name, upper and lower case would be the same: one byte that may change.
        '-keyid',
        ...['-md', 'sha256', '-in', '/scratch/manifest', '-outform', 'DER', '-out', '/scratch/signature'],
        ...['-signer', '/signer/certificate.pem', '-inkey', '/signer/key.pem'],
        ...(chain === '' ? [] : ['-certfile', '/scratch/chain.pem']),
        ...passphraseArguments(signer.passphrase),
      ],
      purpose: 'to sign the bundle',
      mounts: [
        { hostPath: dir, guestPath: '/scratch', writable: true },
        { hostPath: signer.certificatePath, guestPath: '/signer/certificate.pem', writable: false },
        { hostPath: signer.keyPath, guestPath: '/signer/key.pem', writable: false },
      ],
      ...(signingTimeSeconds === undefined ? {} : { env: clockAt(signingTimeSeconds) }),
      ...(signer.passphrase === undefined ? {} : { stdin: Buffer.from(`${signer.passphrase}\n`) }),
      ...(signal === undefined ? {} : { signal }),
      timeoutMs: 60_000,
    })
    return await readFile(join(dir, 'signature'))
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Payload, signature, length of the signature: a bundle. Any bytes do as a signature; devices refuse most. */
export async function writeBundle(options: {
  readonly payloadPath: string
  readonly signature: Uint8Array
  readonly outPath: string
}): Promise<void> {
  const { payloadPath, signature, outPath } = options
  await copyFile(payloadPath, outPath, constants.COPYFILE_FICLONE)
  const length = Buffer.alloc(lengthBytes)
  length.writeBigUInt64BE(BigInt(signature.byteLength))
  const file = await open(outPath, 'a')
  try {
    await file.write(Buffer.concat([signature, length]))
  } finally {
    await file.close()
  }
}

/** A clock that stands still, for one program. */
function clockAt(seconds: number): Record<string, string> {
  const [date, time] = new Date(seconds * 1000).toISOString().split(/[T.]/)
  return {
    LD_PRELOAD: libfaketimePath(),
    FAKETIME: `${date} ${time}`,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  }
}
