/**
 * Booted machines kept in a folder. Guest memory is a file that QEMU maps, so saving writes little more than
 * device state, and a fork maps the same file copy-on-write: it starts as fast as QEMU does.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Hardware } from './arguments.ts'
import { copySparse, createOverlay } from './disk/disk.ts'
import { MachineError } from './errors.ts'
import { hardwareOf, type MachineDisks, offGuard, QemuMachine, withDefaults } from './machine.ts'
import type { Machine, MachineOptions, Qmp, SavedState } from './types.ts'

interface StateFile {
  readonly format: 1
  readonly hardware: Hardware
  readonly firmware: string | undefined
  readonly kernel: MachineOptions['kernel']
  readonly disks: { readonly system: boolean; readonly sdCard: boolean; readonly extra: number }
  readonly consoleTail: string
}

const stateFile = 'machine.json'

/** What a fork brings of its own; the hardware is that of the state. */
export type RestoreOptions = Pick<
  MachineOptions,
  'name' | 'programs' | 'dir' | 'nics' | 'lab' | 'panics' | 'deadlineMs' | 'log'
>

export async function writeState(machine: QemuMachine, qmp: Qmp, target: string): Promise<SavedState> {
  const { options } = machine
  if (!options.saveable)
    throw new MachineError(`${machine.name} cannot be saved: make it with saveable: true`)
  const dir = resolve(target)
  const part = `${dir}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { recursive: true })
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
  }
  await rm(dir, { recursive: true, force: true })
  await rename(part, dir)
  return { dir }
}

/** A machine that goes on where the saved one was, running and with the right time. Any number at once. */
export async function restore(saved: SavedState, options: RestoreOptions): Promise<Machine> {
  const state = await readState(saved.dir)
  const dir = resolve(options.dir)
  await mkdir(dir, { recursive: true })
  const power = { on: false }
  const off = offGuard(options.name, power)
  const overlay = (file: string) =>
    createOverlay(options.programs, join(saved.dir, `${file}.raw`), join(dir, `${file}.qcow2`), off)
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
      agent: hardware.agentLanes > 0,
      nics: nicsFor(hardware, options),
    },
    disks,
    power,
  )
  try {
    await restored.powerOn({ kind: 'file', path: join(saved.dir, 'ram'), shared: false }, true)
    const qmp = restored.qmp!
    await ignoreSharedMemory(qmp)
    await qmp.execute('migrate-incoming', { uri: `file:${join(saved.dir, 'devices')}` })
    await migrationEnd(qmp)
    await qmp.execute('cont')
    if (hardware.agentLanes > 0) await restored.succeed(`date -s @${(Date.now() / 1000).toFixed(3)}`)
  } catch (error) {
    await restored.stop()
    throw error
  }
  return restored
}

/** Whether `dir` holds a state that was written to its end. */
export async function findState(dir: string): Promise<SavedState | undefined> {
  try {
    await readState(dir)
    return { dir: resolve(dir) }
  } catch {
    return undefined
  }
}

async function readState(dir: string): Promise<StateFile> {
  let state: StateFile
  try {
    state = JSON.parse(await readFile(join(dir, stateFile), 'utf8')) as StateFile
  } catch (cause) {
    throw new MachineError(`${dir} holds no saved machine`, { cause })
  }
  if (state.format !== 1)
    throw new MachineError(`${dir} was saved by another version`, { hint: 'save it again' })
  return state
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

async function ignoreSharedMemory(qmp: Qmp): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await qmp.execute('migrate-set-capabilities', { capabilities })
}

async function migrationEnd(qmp: Qmp): Promise<void> {
  for (;;) {
    const answer = (await qmp.execute('query-migrate')) as { status?: string; 'error-desc'?: string }
    if (answer.status === 'completed') return
    if (answer.status === 'failed' || answer.status === 'cancelled') {
      throw new MachineError(
        `QEMU could not transfer the machine's state: ${answer['error-desc'] ?? answer.status}`,
      )
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
