import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import {
  channelRecordsPath,
  deviceLabelsPath,
  freshFlashMarkerPath,
  lastLookPath,
  slotRecordsPath,
} from '@atomixos/config'
import { readDataSpace } from './data-space.ts'
import { readOptional } from './durable-file.ts'
import { lastLine, runProgram } from './run-program.ts'
import type { Observed } from './status.ts'

const timeoutMs = 10_000

/** Looks at the running machine. Nothing is changed; what can't be read is left out, not guessed. */
export async function observe(): Promise<Observed> {
  const [
    osRelease,
    commandLine,
    machineId,
    model,
    mounts,
    dataSpace,
    bootEnvironment,
    failedUnits,
    slotRecords,
    ...update
  ] = await Promise.all([
    readFile('/etc/os-release', 'utf8'),
    readFile('/proc/cmdline', 'utf8'),
    readOptional('/etc/machine-id'),
    readOptional('/proc/device-tree/model'),
    readFile('/proc/self/mounts', 'utf8'),
    readDataSpace(),
    readBootEnvironment(),
    readFailedUnits(),
    readOptional(slotRecordsPath),
    readOptional(deviceLabelsPath),
    readOptional(channelRecordsPath),
    readOptional(lastLookPath),
  ])
  const [labels, channelRecords, lastLook] = update
  return {
    osRelease,
    commandLine,
    machineId: machineId?.trim() || undefined,
    deviceTreeModel: model?.replaceAll('\0', '').trim() || undefined,
    mounts,
    dataSpace,
    freshFlash: existsSync(freshFlashMarkerPath),
    bootEnvironment,
    failedUnits,
    slotRecords,
    labels,
    channelRecords,
    lastLook,
  }
}

async function readBootEnvironment(): Promise<Observed['bootEnvironment']> {
  const result = await runProgram(['/usr/bin/fw_printenv'], { timeoutMs })
  return result.exitCode === 0 ? { text: result.stdout } : { error: lastLine(result) }
}

async function readFailedUnits(): Promise<string[]> {
  const { stdout } = await runProgram(
    ['/usr/bin/systemctl', 'list-units', '--failed', '--plain', '--no-legend', '--full'],
    { timeoutMs },
  )
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name !== '')
}
