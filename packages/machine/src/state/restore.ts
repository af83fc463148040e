import { join, resolve } from 'node:path'
import type { Hardware } from '../arguments.ts'
import { createOverlay } from '../disk/disk.ts'
import { MachineError } from '../errors.ts'
import { QemuMachine } from '../machine.ts'
import { type MachineDisks, offGuard, prepareDir, withDefaults } from '../options.ts'
import type { Machine, MachineOptions, SavedState } from '../types.ts'
import { ignoreSharedMemory, migrationEnd } from './migration.ts'
import { attachSdCard } from './sd-card.ts'
import { readState } from './state-file.ts'

/** What a fork brings of its own; the hardware is that of the state. */
export type RestoreOptions = Pick<
  MachineOptions,
  'name' | 'programs' | 'dir' | 'nics' | 'lab' | 'panics' | 'deadlineMs' | 'log'
>

/** A machine that goes on where the saved one was, running and with the right time. Any number at once. */
export async function restore(saved: SavedState, options: RestoreOptions): Promise<Machine> {
  // An overlay takes a relative name for one beside itself.
  const savedDir = resolve(saved.dir)
  const state = await readState(savedDir)
  const dir = await prepareDir(options)
  const power = { on: false }
  const off = offGuard(options.name, power)
  const overlay = (file: string) =>
    createOverlay(options.programs, join(savedDir, `${file}.raw`), join(dir, `${file}.qcow2`), off)
  const [system, sdCard, ...extra] = await Promise.all([
    state.disks.system ? overlay('system') : undefined,
    state.disks.sdCard ? overlay('sd') : undefined,
    ...Array.from({ length: state.disks.extra }, (_, index) => overlay(`extra${index}`)),
  ])
  const disks: MachineDisks = { system, sdCard, extra: extra.filter((disk) => disk !== undefined) }
  const { hardware } = state
  const restored = new QemuMachine(
    {
      ...withDefaults(options, dir),
      ...(state.firmware === undefined ? {} : { firmware: state.firmware }),
      ...(state.kernel === undefined ? {} : { kernel: state.kernel }),
      cpu: hardware.cpu,
      cpus: hardware.cpus,
      memoryBytes: hardware.memoryBytes,
      watchdog: hardware.watchdog,
      display: hardware.display,
      usb: hardware.usb,
      agent: hardware.agentLanes > 0,
      nics: nicsFor(hardware, options),
    },
    disks,
    power,
  )
  try {
    await restored.powerOn({ kind: 'file', path: join(savedDir, 'ram'), shared: false }, true)
    const qmp = restored.qmp!
    await ignoreSharedMemory(qmp)
    await qmp.execute('migrate-incoming', { uri: `file:${join(savedDir, 'devices')}` })
    await migrationEnd(qmp)
    await qmp.execute('cont')
    if (hardware.agentLanes > 0) {
      await restored.succeed(`date -s @${(Date.now() / 1000).toFixed(3)}`)
      if (sdCard) await attachSdCard(restored)
    }
  } catch (error) {
    await restored.stop()
    throw error
  }
  return restored
}

/** Cards keep their addresses: the guest knows them already. */
function nicsFor(hardware: Hardware, options: RestoreOptions): NonNullable<MachineOptions['nics']> {
  const nics = options.nics ?? hardware.macs.map(() => ({ kind: 'user' as const }))
  if (nics.length !== hardware.macs.length) {
    throw new MachineError(
      `${options.name}: the saved machine has ${hardware.macs.length} network cards, not ${nics.length}`,
    )
  }
  return nics.map((nic, index) => ({ ...nic, mac: hardware.macs[index]! }))
}
