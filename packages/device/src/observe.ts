import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { freshFlashMarkerPath } from '@atomixos/config'
import type { Observed } from './status.ts'

const run = promisify(execFile)
const programTimeoutMs = 10_000

/** Looks at the running machine. Nothing is changed; what can't be read is left out, not guessed. */
export async function observe(): Promise<Observed> {
  const [osRelease, commandLine, machineId, model, mounts, bootEnvironment, failedUnits] = await Promise.all([
    readFile('/etc/os-release', 'utf8'),
    readFile('/proc/cmdline', 'utf8'),
    readOptional('/etc/machine-id'),
    readOptional('/proc/device-tree/model'),
    readFile('/proc/self/mounts', 'utf8'),
    readBootEnvironment(),
    readFailedUnits(),
  ])
  return {
    osRelease,
    commandLine,
    machineId: machineId?.trim() || undefined,
    deviceTreeModel: model?.replaceAll('\0', '').trim() || undefined,
    mounts,
    freshFlash: existsSync(freshFlashMarkerPath),
    bootEnvironment,
    failedUnits,
  }
}

async function readOptional(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}

async function readBootEnvironment(): Promise<Observed['bootEnvironment']> {
  try {
    return { text: (await run('/usr/bin/fw_printenv', [], { timeout: programTimeoutMs })).stdout }
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string }
    return { error: stderr?.trim().split('\n').at(-1) || message.split('\n')[0]! }
  }
}

async function readFailedUnits(): Promise<string[]> {
  const { stdout } = await run(
    '/usr/bin/systemctl',
    ['list-units', '--failed', '--plain', '--no-legend', '--full'],
    { timeout: programTimeoutMs },
  )
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name !== '')
}
