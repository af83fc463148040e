/**
 * Booted machines kept in a folder. Guest memory is a file that QEMU maps, so saving writes little more than
 * device state, and a fork maps the same file copy-on-write: it starts as fast as QEMU does.
 */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { copySparse } from '../disk/disk.ts'
import { MachineError } from '../errors.ts'
import type { QemuMachine } from '../machine.ts'
import { hardwareOf } from '../options.ts'
import type { Qmp, SavedState } from '../types.ts'
import { ignoreSharedMemory, migrationEnd } from './migration.ts'
import { attachSdCard, detachSdCard } from './sd-card.ts'
import { type StateFile, stateFile } from './state-file.ts'

export async function saveState(machine: QemuMachine, qmp: Qmp, target: string): Promise<SavedState> {
  const { options } = machine
  if (!options.saveable)
    throw new MachineError(`${machine.name} cannot be saved: make it with saveable: true`)
  const dir = resolve(target)
  const part = `${dir}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { recursive: true })
  const card = machine.disks.sdCard !== undefined && hardwareOf(options).agentLanes > 0
  if (card) await detachSdCard(machine)
  await qmp.execute('stop')
  try {
    await ignoreSharedMemory(qmp)
    await qmp.execute('migrate', { uri: `file:${join(part, 'devices')}` })
    await migrationEnd(qmp)
    const copy = (from: string | undefined, to: string) =>
      from === undefined ? undefined : copySparse(options.programs, from, join(part, to))
    await Promise.all([
      copy(machine.ramPath, 'ram'),
      copy(machine.disks.system?.path, 'system.raw'),
      copy(machine.disks.sdCard?.path, 'sd.raw'),
      ...machine.disks.extra.map((disk, index) => copy(disk.path, `extra${index}.raw`)),
    ])
    const state: StateFile = {
      format: 1,
      hardware: hardwareOf(options),
      firmware: options.firmware,
      kernel: options.kernel,
      disks: {
        system: machine.disks.system !== undefined,
        sdCard: machine.disks.sdCard !== undefined,
        extra: machine.disks.extra.length,
      },
      consoleTail: machine.console.tail(20),
    }
    await writeFile(join(part, stateFile), `${JSON.stringify(state, undefined, 2)}\n`)
  } finally {
    await qmp.execute('cont')
    if (card) await attachSdCard(machine)
  }
  await rm(dir, { recursive: true, force: true })
  await rename(part, dir)
  return { dir }
}
