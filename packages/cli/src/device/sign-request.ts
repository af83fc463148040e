import { spawn } from 'node:child_process'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { signatureNamespace } from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'

/** A key that can sign: a file, or a public key whose other half an agent holds. */
export type SigningKey = { readonly file: string } | { readonly agentKey: string }

const usualNames = ['id_ed25519', 'id_ed25519_sk', 'id_ecdsa', 'id_ecdsa_sk', 'id_rsa']

/** The key that was named; else those of the agent; else those that ssh would try. Throws UserError when there is none. */
export async function findSigningKeys(
  keyFile: string | undefined,
  signal: AbortSignal,
): Promise<SigningKey[]> {
  if (keyFile !== undefined) {
    if (await isThere(keyFile)) return [{ file: keyFile }]
    throw new UserError(`${keyFile} is not there`, { exitCode: 2 })
  }
  if (process.env['SSH_AUTH_SOCK']) {
    const listed = await run(['ssh-add', '-L'], '', signal)
    const keys = listed.stdout.split('\n').filter((line) => /^(?:ssh|ecdsa|sk)-/.test(line))
    if (listed.exitCode === 0 && keys.length > 0) return keys.map((agentKey) => ({ agentKey }))
  }
  const files = usualNames.map((name) => join(homedir(), '.ssh', name))
  const there = await Promise.all(files.map(isThere))
  const found = files.filter((_, index) => there[index])
  if (found.length > 0) return found.map((file) => ({ file }))
  throw new UserError('there is no key to sign with: no agent has one, and ~/.ssh has none', {
    hint: "name an administrator's with --key FILE",
    exitCode: 2,
  })
}

/** What goes into the header: base64 of ssh-keygen's signature. A passphrase is asked for by ssh-keygen itself. */
export async function sign(message: string, key: SigningKey, signal: AbortSignal): Promise<string> {
  const scratch = await mkdtemp(join(tmpdir(), 'atomixos-sign-'))
  try {
    const publicPath = join(scratch, 'key.pub')
    if ('agentKey' in key) await writeFile(publicPath, `${key.agentKey}\n`)
    const how = 'file' in key ? ['-f', key.file] : ['-U', '-f', publicPath]
    const signed = await run(['ssh-keygen', '-Y', 'sign', '-n', signatureNamespace, ...how], message, signal)
    if (signed.exitCode === 0) return Buffer.from(signed.stdout).toString('base64')
    throw new UserError(`${describeKey(key)} did not sign: ${lastLine(signed.stderr)}`, {
      hint: 'ssh-keygen of OpenSSH 8.9 or newer is needed, and the private half of the key',
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

export function describeKey(key: SigningKey): string {
  if ('file' in key) return key.file
  const [type = '', blob = '', ...comment] = key.agentKey.split(' ')
  return `${comment.join(' ') || blob.slice(-16)} (${type}, of the agent)`
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function run(
  [program, ...args]: readonly [string, ...string[]],
  input: string,
  signal: AbortSignal,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const child = spawn(program, args, { stdio: 'pipe', signal })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'ENOENT') reject(cause)
      else
        reject(
          new UserError(`${program} is not there`, {
            hint: 'install the OpenSSH client',
            exitCode: 2,
            cause,
          }),
        )
    })
    child.once('close', resolve)
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, exitCode] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { exitCode, stdout, stderr }
}

function lastLine(output: string): string {
  return output.trim().split('\n').at(-1) || 'it has said nothing'
}
