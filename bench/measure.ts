import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface Measured {
  readonly wallSeconds: number
  /** User and system time of the program and of all that it started. */
  readonly cpuSeconds: number
}

/** Runs a program to its end. Throws with its last output when it fails. */
export async function measure(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run-measured.ts'), ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...env },
  })
  let report = ''
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    report += chunk
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output = `${output}${chunk}`.slice(-4000)
  })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', () => resolve())
  })
  if (report === '') throw new Error(`${argv[0]} could not be measured:\n${output}`)
  const { exitCode, wallSeconds, cpuSeconds } = JSON.parse(report.trim().split('\n').at(-1)!)
  if (exitCode !== 0) throw new Error(`${argv.join(' ')}\nfailed with exit code ${exitCode}:\n${output}`)
  return { wallSeconds, cpuSeconds }
}
