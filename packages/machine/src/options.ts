/** What a machine is before it is one: checked options with defaults, its folder, its disks. */
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { defaultMac, type Hardware, type Recorder } from './arguments.ts'
import type { MachineDisk } from './disk/disk.ts'
import { MachineError } from './errors.ts'
import type { MachineOptions } from './types.ts'

export const consoleLog = 'console.log'
export const qemuLog = 'qemu.log'
const agentLanes = 4
const MiB = 1024 * 1024

export interface MachineDisks {
  readonly system: MachineDisk | undefined
  readonly sdCard: MachineDisk | undefined
  readonly extra: readonly MachineDisk[]
  /** Has system disk and card in itself. */
  readonly recorder?: Recorder
}

/** Shared by a machine and its disks: a disk is only touched from outside while its machine is off. */
export interface PowerSwitch {
  on: boolean
}

/** Logs of an earlier machine in this folder would be taken for this one's. */
export async function prepareDir(options: Pick<MachineOptions, 'dir'>): Promise<string> {
  const dir = resolve(options.dir)
  await mkdir(dir, { recursive: true })
  await Promise.all([consoleLog, qemuLog].map((name) => rm(join(dir, name), { force: true })))
  return dir
}

export function offGuard(name: string, power: PowerSwitch): () => string | undefined {
  return () => (power.on ? `${name} is running; stop or crash it first` : undefined)
}

export function withDefaults(options: MachineOptions, dir: string): MachineOptions {
  return { ...options, dir, nics: options.nics ?? [{ kind: 'user' }] }
}

export function hardwareOf(options: MachineOptions): Hardware {
  return {
    cpu: options.cpu ?? 'max',
    cpus: options.cpus ?? 1,
    memoryBytes: options.memoryBytes ?? 1024 * MiB,
    watchdog: options.watchdog ?? false,
    display: options.display ?? false,
    usb: options.usb ?? false,
    agentLanes: (options.agent ?? true) ? agentLanes : 0,
    macs: (options.nics ?? []).map((nic, index) => nic.mac ?? defaultMac(index)),
  }
}

export function checkOptions(options: MachineOptions): void {
  if (!/^[a-z0-9][a-z0-9-]*$/.test(options.name)) {
    throw new MachineError(`${JSON.stringify(options.name)} is no machine name`, {
      hint: 'use lower-case letters, digits and hyphens',
    })
  }
  if ((options.firmware === undefined) === (options.kernel === undefined)) {
    throw new MachineError(`${options.name}: give either firmware or kernel`)
  }
  const { record, disk, sdCard } = options
  if (record !== undefined) {
    const fromImage = disk !== undefined && 'image' in disk
    const blankCard = sdCard !== undefined && !('image' in sdCard) && !('file' in sdCard)
    if (!fromImage || !blankCard) {
      throw new MachineError(
        `${options.name}: a recorded machine has a disk from an image and a card of zeros`,
      )
    }
  }
  if (record !== undefined && options.saveable) {
    throw new MachineError(`${options.name}: a recorded machine cannot be saved: its log begins at power-on`)
  }
  if (options.lab === undefined && options.nics?.some((nic) => nic.kind === 'bridge')) {
    throw new MachineError(`${options.name}: a card on a bridge needs the lab that the bridge is in`)
  }
}
