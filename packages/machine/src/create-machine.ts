import { rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Recorder } from './arguments.ts'
import { createDisk, diskBytes } from './disk/disk.ts'
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
  if (options.record !== undefined) {
    const recorder = await createRecorder(options, join(dir, 'recorded.raw'))
    const disks = { system: undefined, sdCard: undefined, extra: [], recorder }
    return new QemuMachine(withDefaults(options, dir), disks, power)
  }
  const disks: MachineDisks = {
    system: options.disk && (await make(options.disk, 'system.raw')),
    sdCard: options.sdCard && (await make(options.sdCard, 'sd.raw')),
    extra: await Promise.all((options.extraDisks ?? []).map((source, i) => make(source, `extra${i}.raw`))),
  }
  return new QemuMachine(withDefaults(options, dir), disks, power)
}

/** The system disk with the card behind it, as one file. */
async function createRecorder(options: MachineOptions, path: string): Promise<Recorder> {
  const [disk, card] = [options.disk!, options.sdCard!]
  const systemBytes = await diskBytes(disk)
  const cardBytes = await diskBytes(card)
  const sizeBytes = systemBytes + cardBytes
  await createDisk(options.programs, { ...disk, sizeBytes }, path, () => undefined)
  const logPath = resolve(options.record!)
  await rm(logPath, { force: true })
  await writeFile(logPath, '')
  return { path, logPath, systemBytes, cardBytes }
}
