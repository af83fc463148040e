import { join } from 'node:path'
import { createDisk } from './disk/disk.ts'
import { QemuMachine } from './machine.ts'
import {
  checkOptions,
  type MachineDisks,
  offGuard,
  type PowerSwitch,
  prepareDir,
  withDefaults,
} from './options.ts'
import type { Machine, MachineOptions } from './types.ts'

/** Makes a machine, switched off: its disks are copied, nothing runs yet. */
export async function createMachine(options: MachineOptions): Promise<Machine> {
  checkOptions(options)
  const dir = await prepareDir(options)
  const power: PowerSwitch = { on: false }
  const off = offGuard(options.name, power)
  const make = (source: NonNullable<MachineOptions['disk']>, file: string) =>
    createDisk(options.programs, source, join(dir, file), off)
  const disks: MachineDisks = {
    system: options.disk && (await make(options.disk, 'system.raw')),
    sdCard: options.sdCard && (await make(options.sdCard, 'sd.raw')),
    extra: await Promise.all((options.extraDisks ?? []).map((source, i) => make(source, `extra${i}.raw`))),
  }
  return new QemuMachine(withDefaults(options, dir), disks, power)
}
