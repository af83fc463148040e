/**
 * The QEMU command line as a pure function of what the machine is. PCI slots are fixed by role, so that adding
 * a device renumbers nothing in the guest and a saved state fits whatever host backends it is restored with.
 */
import { MachineError } from './errors.ts'
import type { Nic } from './types.ts'

export interface AttachedDisk {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
}

/** Disk and card in one file, the card behind the disk, and every write to either in one log. */
export interface Recorder {
  readonly path: string
  readonly logPath: string
  readonly systemBytes: number
  readonly cardBytes: number
}

export type Memory =
  | { readonly kind: 'anonymous' }
  /** A file that is guest memory while QEMU runs: `shared` writes through, otherwise it is a copy-on-write origin. */
  | { readonly kind: 'file'; readonly path: string; readonly shared: boolean }

/** What the guest sees. Equal models, equal hardware: the part a saved state is bound to. */
export interface Hardware {
  readonly cpu: 'max' | 'cortex-a53'
  readonly cpus: number
  readonly memoryBytes: number
  readonly watchdog: boolean
  readonly display: boolean
  readonly usb: boolean
  readonly agentLanes: number
  readonly macs: readonly string[]
}

export interface CommandLine {
  readonly name: string
  readonly hardware: Hardware
  /** Where QEMU makes its sockets; short, as socket paths end at 107 bytes. */
  readonly socketDir: string
  readonly consoleLogPath: string
  readonly firmware: string | undefined
  readonly kernel:
    | { readonly image: string; readonly initrd?: string; readonly commandLine: string }
    | undefined
  readonly systemDisk: AttachedDisk | undefined
  readonly sdCard: AttachedDisk | undefined
  /** In place of `systemDisk` and `sdCard`. */
  readonly recorder: Recorder | undefined
  readonly extraDisks: readonly AttachedDisk[]
  readonly nics: readonly Nic[]
  /** QEMU's network backend for each card of kind `bridge`. */
  readonly plugs: readonly (string | undefined)[]
  readonly memory: Memory
  /** fw_cfg name and file. */
  readonly firmwareConfig: readonly { readonly name: string; readonly path: string }[]
  /** Start without a guest state, waiting for one. */
  readonly incoming: boolean
  readonly extra: readonly string[]
}

export const slots = {
  systemDisk: 1,
  sdCard: 2,
  random: 3,
  serial: 4,
  watchdog: 5,
  display: 6,
  usb: 7,
  extraDisks: 8,
  nics: 16,
} as const
const extraDisksMax = slots.nics - slots.extraDisks
const nicsMax = 31 - slots.nics

export const socketNames = {
  qmp: 'qmp',
  console: 'console',
  lane: (index: number) => `lane${index}`,
} as const
export const laneName = (index: number) => `vm.agent.${index}`

export function qemuArguments(line: CommandLine): string[] {
  const { hardware, memory } = line
  const fileMemory = memory.kind === 'file'
  return [
    ...['-name', line.name, '-no-user-config', '-nodefaults', '-display', 'none'],
    ...['-M', `virt${fileMemory ? ',memory-backend=memory' : ''}`],
    ...['-cpu', hardware.cpu === 'max' ? 'max,pauth=off' : hardware.cpu],
    ...['-smp', String(hardware.cpus), '-m', `size=${hardware.memoryBytes}B`],
    ...(fileMemory ? ['-object', memoryObject(memory, hardware.memoryBytes)] : []),
    ...(line.firmware === undefined ? [] : ['-bios', line.firmware]),
    ...(line.kernel === undefined ? [] : kernelArguments(line.kernel)),
    ...['-qmp', `unix:${commas(line.socketDir)}/${socketNames.qmp},server=on,wait=off`],
    ...consoleArguments(line),
    ...(line.recorder === undefined ? [] : recordedDisks(line.recorder)),
    ...(line.systemDisk === undefined
      ? []
      : [
          ...blockNode('system', line.systemDisk),
          '-device',
          device('virtio-blk-pci', slots.systemDisk, 'drive=system'),
        ]),
    ...(line.sdCard === undefined
      ? []
      : [
          ...blockNode('sd', line.sdCard),
          ...['-device', device('sdhci-pci', slots.sdCard), '-device', 'sd-card,drive=sd'],
        ]),
    ...line.extraDisks.flatMap((disk, index) => [
      ...blockNode(`extra${index}`, disk),
      '-device',
      device(
        'virtio-blk-pci',
        within(slots.extraDisks, index, extraDisksMax, 'extra disks'),
        `drive=extra${index}`,
      ),
    ]),
    ...['-device', device('virtio-rng-pci', slots.random)],
    ...agentArguments(line),
    ...(hardware.watchdog
      ? ['-device', device('i6300esb', slots.watchdog), '-action', 'watchdog=reset']
      : []),
    ...(hardware.display ? ['-device', device('virtio-gpu-pci', slots.display)] : []),
    ...(hardware.usb ? ['-device', device('qemu-xhci', slots.usb, 'id=usb')] : []),
    ...line.nics.flatMap((nic, index) => nicArguments(nic, index, hardware.macs[index]!, line.plugs[index])),
    ...line.firmwareConfig.flatMap(({ name, path }) => ['-fw_cfg', `name=${name},file=${commas(path)}`]),
    ...(line.incoming ? ['-incoming', 'defer'] : []),
    // Paused: the driver listens to the console before the first instruction writes to it.
    '-S',
    ...line.extra,
  ]
}

/** QEMU separates options by commas; a comma in a value is doubled. */
export function commas(value: string): string {
  return value.replaceAll(',', ',,')
}

function device(model: string, slot: number, ...properties: string[]): string {
  return [model, ...properties, 'bus=pcie.0', `addr=0x${slot.toString(16)}`].join(',')
}

function within(first: number, index: number, max: number, what: string): number {
  if (index >= max) throw new MachineError(`a machine has at most ${max} ${what}`)
  return first + index
}

function kernelArguments(kernel: NonNullable<CommandLine['kernel']>): string[] {
  return [
    ...['-kernel', kernel.image, '-append', kernel.commandLine],
    ...(kernel.initrd === undefined ? [] : ['-initrd', kernel.initrd]),
  ]
}

function memoryObject(memory: Memory & { kind: 'file' }, sizeBytes: number): string {
  const access = memory.shared ? 'share=on' : 'share=off,readonly=on,rom=off'
  return `memory-backend-file,id=memory,size=${sizeBytes}B,mem-path=${commas(memory.path)},${access}`
}

function consoleArguments(line: CommandLine): string[] {
  const socket = `path=${commas(line.socketDir)}/${socketNames.console},server=on,wait=off`
  const log = `logfile=${commas(line.consoleLogPath)},logappend=on`
  return ['-chardev', `socket,id=console,${socket},${log}`, '-serial', 'chardev:console']
}

/**
 * Write-back through this machine's page cache, flushes passed on: a killed QEMU loses nothing that the guest
 * had written, flushed or not. Losing unflushed writes as well needs another block driver.
 */
function blockNode(name: string, disk: AttachedDisk): string[] {
  const node = {
    driver: disk.format,
    'node-name': name,
    discard: 'unmap',
    cache: { direct: false, 'no-flush': false },
    file: {
      driver: 'file',
      filename: disk.path,
      discard: 'unmap',
      cache: { direct: false, 'no-flush': false },
    },
  }
  return ['-blockdev', JSON.stringify(node)]
}

/**
 * Two views of one recorded node: so both devices share a log, and with it an order. Each device may write, as each has a
 * part of its own. Flushes stay in the log and need not reach this machine's disk.
 */
export function recorderNodes({ path, logPath, systemBytes, cardBytes }: Recorder): object[] {
  const cache = { direct: false, 'no-flush': true }
  const view = (name: string, offset: number, size: number) => ({
    driver: 'raw',
    'node-name': name,
    discard: 'unmap',
    offset,
    size,
    file: 'recorder',
  })
  return [
    {
      driver: 'blklogwrites',
      'node-name': 'recorder',
      discard: 'unmap',
      file: { driver: 'file', filename: path, discard: 'unmap', cache },
      log: { driver: 'file', filename: logPath, cache },
    },
    view('system', 0, systemBytes),
    view('sd', systemBytes, cardBytes),
  ]
}

function recordedDisks(recorder: Recorder): string[] {
  return [
    ...recorderNodes(recorder).flatMap((node) => ['-blockdev', JSON.stringify(node)]),
    ...['-device', device('virtio-blk-pci', slots.systemDisk, 'drive=system', 'share-rw=on')],
    ...['-device', device('sdhci-pci', slots.sdCard), '-device', 'sd-card,drive=sd'],
  ]
}

function agentArguments({ hardware, socketDir }: CommandLine): string[] {
  if (hardware.agentLanes === 0) return []
  return [
    ...['-device', device('virtio-serial-pci', slots.serial, 'id=ports', 'max_ports=16')],
    ...Array.from({ length: hardware.agentLanes }, (_, index) => [
      '-chardev',
      `socket,id=lane${index},path=${commas(socketDir)}/${socketNames.lane(index)},server=on,wait=off`,
      '-device',
      `virtserialport,bus=ports.0,nr=${index + 1},chardev=lane${index},name=${laneName(index)}`,
    ]).flat(),
  ]
}

function nicArguments(nic: Nic, index: number, mac: string, plug: string | undefined): string[] {
  const slot = within(slots.nics, index, nicsMax, 'network cards')
  const card = device('virtio-net-pci', slot, `netdev=net${index}`, `mac=${mac}`, 'romfile=')
  return ['-netdev', netdev(nic, index, plug), '-device', card]
}

function netdev(nic: Nic, index: number, plug: string | undefined): string {
  if (nic.kind === 'bridge') {
    if (plug === undefined) throw new MachineError(`network card ${index} has no bridge to be plugged into`)
    return `${plug},id=net${index}`
  }
  const forwards = (nic.forwards ?? []).map(
    ({ guestPort, hostPort }) => `,hostfwd=tcp:127.0.0.1:${hostPort ?? 0}-:${guestPort}`,
  )
  return `user,id=net${index}${nic.restricted ? ',restrict=on' : ''}${forwards.join('')}`
}

/** Deterministic addresses in QEMU's own range, one per card. */
export function defaultMac(index: number): string {
  return `52:54:00:12:34:${(0x56 + index).toString(16).padStart(2, '0')}`
}

const firmwareConfigNameMax = 55

/** The fw_cfg name under which systemd looks for a credential. */
export function credentialName(name: string): string {
  const full = `opt/io.systemd.credentials/${name}`
  if (full.length > firmwareConfigNameMax) {
    throw new MachineError(
      `the credential name ${name} is ${full.length - firmwareConfigNameMax} characters too long for fw_cfg`,
    )
  }
  return full
}
