import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { signatureNamespace } from '@atomixos/config/api/index.ts'
import { runProgram } from '../run-program.ts'

export type Verified = { readonly admin: string } | { readonly problem: string }

export interface SignatureDoors {
  /** How ssh-keygen is started. */
  readonly sshKeygen: readonly [string, ...string[]]
  /** Keys that may sign. */
  readonly signersPath: string
  /** For what ssh-keygen wants in files; in memory. */
  readonly folder: string
}

const signatureBytesMax = 8 * 1024
const timeoutMs = 20_000
const begin = '-----BEGIN SSH SIGNATURE-----\n'

/** Has ssh-keygen say whether an administrator has signed this text, and who. Never throws for what a client sent. */
export async function verifySignature(
  text: string,
  signature: string,
  { sshKeygen, signersPath, folder }: SignatureDoors,
): Promise<Verified> {
  const armoured = decode(signature)
  if (armoured === undefined) {
    return { problem: 'the signature is not the base64 of what `ssh-keygen -Y sign` writes' }
  }
  const scratch = await mkdtemp(join(folder, 'verify-'))
  try {
    const signaturePath = join(scratch, 'signature')
    // Both runs see the same keys, whatever becomes of the file between them.
    const keysPath = join(scratch, 'signers')
    await writeFile(signaturePath, armoured)
    await copyFile(signersPath, keysPath)
    const found = await runProgram(
      [...sshKeygen, '-Y', 'find-principals', '-s', signaturePath, '-f', keysPath],
      { timeoutMs },
    )
    // Two users may have one key: they are the same person to us.
    const admin = found.exitCode === 0 ? found.stdout.split('\n')[0]!.split(',')[0]!.trim() : ''
    if (admin === '') return { problem: "the signature is not by an administrator's key" }
    const verified = await runProgram(
      [
        ...sshKeygen,
        ...['-Y', 'verify', '-f', keysPath, '-I', admin, '-n', signatureNamespace, '-s', signaturePath],
      ],
      { timeoutMs, stdin: text },
    )
    if (verified.exitCode === 0) return { admin }
    return { problem: 'the signature is for something else: another nonce, path, body or purpose' }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function decode(signature: string): Buffer | undefined {
  const compact = signature.trim()
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined
  const bytes = Buffer.from(compact, 'base64')
  // One signature has one way of being written; what was cut off is not made up for.
  if (bytes.length > signatureBytesMax || bytes.toString('base64') !== compact) return undefined
  return bytes.toString('latin1').startsWith(begin) ? bytes : undefined
}
