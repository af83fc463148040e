import { dirname } from 'node:path'
import type { ToolMount, ToolTree } from '../tools/tools.ts'

/** OpenSSL of the tools, in its sandbox. Folders are mounted where the arguments name them. */
export interface OpensslRun {
  readonly arguments: readonly string[]
  readonly purpose: string
  readonly mounts: readonly ToolMount[]
  /** Of the one key that is read or written; goes over standard input, never into arguments. */
  readonly passphrase?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export async function runOpenssl(tools: ToolTree, run: OpensslRun): Promise<string> {
  return runWithPassphrase(tools, run, ['/usr/bin/openssl', ...run.arguments])
}

/** The words that make a command read its key's passphrase. */
export function passphraseArguments(passphrase: string | undefined): string[] {
  return passphrase === undefined ? [] : ['-passin', 'stdin']
}

/** RSA: PKCS#1 v1.5 signatures have no random part, so that a bundle is the same bytes each time it is signed. */
const keyBits = 3072

/** PBKDF2 rounds of a passphrase: half a second each time the key is used, and each time somebody guesses. */
const passphraseRounds = 1_000_000

/** A new private key, PKCS#8 in PEM, readable to its owner only. */
export async function makePrivateKey(
  tools: ToolTree,
  options: { readonly path: string; readonly passphrase?: string | undefined },
): Promise<void> {
  const name = options.path.slice(dirname(options.path).length + 1)
  const mounts = [{ hostPath: dirname(options.path), guestPath: '/keys', writable: true }]
  const generate = ['genpkey', '-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${keyBits}`, '-quiet']
  const purpose = 'to make a private key'
  if (options.passphrase === undefined) {
    await runOpenssl(tools, { arguments: [...generate, '-out', `/keys/${name}`], purpose, mounts })
    return
  }
  // The plain key is only ever in the pipe; genpkey alone would encrypt it with few rounds.
  const script = `exec 3<&0; openssl ${generate.join(' ')} | openssl pkcs8 -topk8 -v2 aes-256-cbc -iter ${passphraseRounds} -passout fd:3 -out "$1"`
  await runWithPassphrase(tools, { purpose, mounts, passphrase: options.passphrase }, [
    '/usr/bin/sh',
    '-c',
    script,
    'sh',
    `/keys/${name}`,
  ])
}

async function runWithPassphrase(
  tools: ToolTree,
  run: Omit<OpensslRun, 'arguments'>,
  argv: readonly [string, ...string[]],
): Promise<string> {
  const { stdout } = await tools.run({
    argv,
    purpose: run.purpose,
    mounts: run.mounts,
    timeoutMs: 120_000,
    ...(run.passphrase === undefined ? {} : { stdin: Buffer.from(`${run.passphrase}\n`) }),
    ...(run.signal === undefined ? {} : { signal: run.signal }),
  })
  return stdout
}
