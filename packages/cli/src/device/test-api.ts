import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { leastToml, testKey } from '@atomixos/config/operator/test-configs.ts'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'

/** For tests: OpenSSH's programs of the locked tree, the version that devices have, in a folder for PATH. */
export async function openSshPrograms(dir: string): Promise<string> {
  const tree = await (await openTestInputs()).toolTree('tools-machine')
  const bin = join(dir, 'bin')
  await mkdir(bin)
  for (const name of ['ssh-keygen', 'ssh-agent', 'ssh-add']) {
    const argv = [...tree.unconfined().loader, join(tree.dir, 'usr/bin', name)]
    await writeFile(join(bin, name), `#!/bin/sh\nexec ${argv.map((word) => `'${word}'`).join(' ')} "$@"\n`)
    await chmod(join(bin, name), 0o755)
  }
  return bin
}

export interface Ran {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** For tests: a program, its input, what it has said. */
export async function run(
  argv: readonly [string, ...string[]],
  { input = '', env = {}, cwd }: { input?: string | Uint8Array; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Ran> {
  const [program, ...args] = argv
  const child = spawn(program, args, {
    stdio: 'pipe',
    env: { ...process.env, SSH_AUTH_SOCK: undefined, ...env },
    ...(cwd !== undefined && { cwd }),
  })
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { exitCode, stdout, stderr }
}

/** For tests: a key of somebody's, as `DIR/NAME` and `DIR/NAME.pub`. Gives the public line. */
export async function makeKey(bin: string, dir: string, name: string, type = 'ed25519'): Promise<string> {
  const made = await run([
    join(bin, 'ssh-keygen'),
    '-q',
    '-t',
    type,
    '-N',
    '',
    '-C',
    name,
    '-f',
    join(dir, name),
  ])
  if (made.exitCode !== 0) throw new Error(made.stderr)
  return (await readFile(join(dir, `${name}.pub`), 'utf8')).trim()
}

/** For tests: the least configuration, of this administrator. */
export function configOf(publicKey: string): string {
  return leastToml.replace(testKey, publicKey)
}

export interface DeviceProcess extends AsyncDisposable {
  readonly port: number
  readonly configFolder: string
  /** What becomes of the next jobs: `succeed`, `fail`, `hold`. */
  course(course: string): void
}

/**
 * For tests: the device's own front and worker, on this machine's loopback address, in a process of their own: what the
 * command line is made of knows nothing of what the device is made of.
 */
export async function startDevice(options: {
  readonly folder: string
  readonly bin: string
  readonly claimCode?: string
}): Promise<DeviceProcess> {
  const program = join(import.meta.dirname, '../../../device/src/api/test-device.ts')
  const { bin, ...rest } = options
  await mkdir(options.folder, { recursive: true })
  const argument = JSON.stringify({ ...rest, sshKeygen: [join(bin, 'ssh-keygen')] })
  const child = spawn(process.execPath, [program, argument], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const [line] = await Promise.race([
    once(lines, 'line'),
    once(child, 'close').then(() => Promise.reject(new Error('the device has not started'))),
  ])
  const { port, configFolder } = JSON.parse(line)
  return {
    ...{ port, configFolder },
    course: (course) => void child.stdin.write(`${course}\n`),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'close')
      child.stdin.end()
      await ended
    },
  }
}
