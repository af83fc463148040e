import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const main = join(import.meta.dirname, 'main.ts')

interface Ended {
  readonly exitCode: number | null
  readonly stderr: string
}

/** The real command; its standard output and standard error go to `stdout` and `stderr`, or into closed pipes. */
async function run(args: readonly string[], to: { stdout?: number; stderr?: 'closed' } = {}): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', to.stdout ?? 'pipe', 'pipe'] })
  // Node takes longer to start than this takes to close: the first write finds nobody.
  child.stdout?.destroy()
  if (to.stderr === 'closed') child.stderr!.destroy()
  const stderr = to.stderr === 'closed' ? Promise.resolve('') : text(child.stderr!)
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  return { exitCode, stderr: await stderr }
}

const quiet = { exitCode: 141, stderr: '' }

test.each([
  ['--help', ['--help']],
  ['no arguments', []],
  ['help of a command', ['build', '--help']],
  ['a result', ['e2e', '--list', '--json']],
  ['a program that the command runs', ['bench', '--', 'build', '--help']],
])('a reader that has left ends the command without a word: %s', async (_, args) => {
  expect(await run(args)).toEqual(quiet)
})

test('a reader of standard error that has left does the same', async () => {
  expect(await run(['no-such-command'], { stderr: 'closed' })).toEqual(quiet)
})

test('a full disk is said', async () => {
  const full = openSync('/dev/full', 'w')
  try {
    expect(await run(['--help'], { stdout: full })).toEqual({
      exitCode: 1,
      stderr: 'atomixos: standard output cannot be written: ENOSPC: no space left on device, write\n',
    })
  } finally {
    closeSync(full)
  }
})
