import { expect, test } from 'vitest'
import { type CommandLine, commas, credentialName, defaultMac, qemuArguments } from './arguments.ts'

const line: CommandLine = {
  name: 'gateway',
  hardware: {
    cpu: 'max',
    cpus: 1,
    memoryBytes: 1024 * 1024 * 1024,
    watchdog: false,
    display: false,
    usb: false,
    agentLanes: 1,
    macs: [defaultMac(0)],
  },
  socketDir: '/tmp/vm-1',
  consoleLogPath: '/logs/console.log',
  firmware: '/fw/u-boot.bin',
  kernel: undefined,
  systemDisk: { path: '/disks/system.raw', format: 'raw' },
  sdCard: { path: '/disks/sd.raw', format: 'raw' },
  recorder: undefined,
  extraDisks: [],
  nics: [{ kind: 'user', forwards: [{ guestPort: 22 }, { guestPort: 80, hostPort: 8080 }] }],
  plugs: [undefined],
  memory: { kind: 'anonymous' },
  firmwareConfig: [{ name: credentialName('vm.agent'), path: '/tmp/vm-1/a,b' }],
  incoming: false,
  extra: ['-d', 'guest_errors'],
}

test('the command line of a gateway', () => {
  const disk = (name: string, path: string) =>
    `{"driver":"raw","node-name":"${name}","discard":"unmap","cache":{"direct":false,"no-flush":false},"file":{"driver":"file","filename":"${path}","discard":"unmap","cache":{"direct":false,"no-flush":false}}}`
  expect(qemuArguments(line)).toEqual([
    ...['-name', 'gateway', '-no-user-config', '-nodefaults', '-display', 'none'],
    ...['-M', 'virt', '-cpu', 'max,pauth=off', '-smp', '1', '-m', 'size=1073741824B'],
    ...['-bios', '/fw/u-boot.bin'],
    ...['-qmp', 'unix:/tmp/vm-1/qmp,server=on,wait=off'],
    '-chardev',
    'socket,id=console,path=/tmp/vm-1/console,server=on,wait=off,logfile=/logs/console.log,logappend=on',
    ...['-serial', 'chardev:console'],
    ...['-blockdev', disk('system', '/disks/system.raw')],
    ...['-device', 'virtio-blk-pci,drive=system,bus=pcie.0,addr=0x1'],
    ...['-blockdev', disk('sd', '/disks/sd.raw')],
    ...['-device', 'sdhci-pci,bus=pcie.0,addr=0x2', '-device', 'sd-card,drive=sd'],
    ...['-device', 'virtio-rng-pci,bus=pcie.0,addr=0x3'],
    ...['-device', 'virtio-serial-pci,id=ports,max_ports=16,bus=pcie.0,addr=0x4'],
    ...['-chardev', 'socket,id=lane0,path=/tmp/vm-1/lane0,server=on,wait=off'],
    ...['-device', 'virtserialport,bus=ports.0,nr=1,chardev=lane0,name=vm.agent.0'],
    '-netdev',
    'user,id=net0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:8080-:80',
    '-device',
    'virtio-net-pci,netdev=net0,mac=52:54:00:12:34:56,romfile=,bus=pcie.0,addr=0x10',
    ...['-fw_cfg', 'name=opt/io.systemd.credentials/vm.agent,file=/tmp/vm-1/a,,b'],
    ...['-S', '-d', 'guest_errors'],
  ])
})

const slotOf = (args: readonly string[], model: string) =>
  args.filter((arg) => arg.startsWith(`${model},`)).map((arg) => /addr=(\w+)/.exec(arg)![1])

test('what is added to a machine moves nothing that was there', () => {
  const more = qemuArguments({
    ...line,
    hardware: {
      ...line.hardware,
      watchdog: true,
      display: true,
      usb: true,
      macs: [defaultMac(0), defaultMac(1)],
    },
    extraDisks: [{ path: '/disks/x.qcow2', format: 'qcow2' }],
    nics: [...line.nics, { kind: 'bridge', bridge: 'lan' }],
    plugs: [undefined, 'tap,ifname=tap0'],
  })
  expect(slotOf(more, 'virtio-blk-pci')).toEqual(['0x1', '0x8'])
  expect(slotOf(more, 'sdhci-pci')).toEqual(['0x2'])
  expect(slotOf(more, 'virtio-net-pci')).toEqual(['0x10', '0x11'])
  expect(more).toContain('tap,ifname=tap0,id=net1')
})

test.each([
  [true, 'share=on'],
  [false, 'share=off,readonly=on,rom=off'],
])('memory in a file, shared: %s', (shared, access) => {
  const args = qemuArguments({ ...line, memory: { kind: 'file', path: '/ram', shared }, incoming: true })
  expect(args).toContain(`memory-backend-file,id=memory,size=1073741824B,mem-path=/ram,${access}`)
  expect(args).toContain('virt,memory-backend=memory')
  expect(args.slice(args.indexOf('-incoming')).slice(0, 2)).toEqual(['-incoming', 'defer'])
})

test('a card on a bridge without a plug, and too many cards, are errors', () => {
  const bridge = { kind: 'bridge', bridge: 'lan' } as const
  expect(() => qemuArguments({ ...line, nics: [bridge] })).toThrow('network card 0 has no bridge')
  const nics = Array.from({ length: 16 }, () => ({ kind: 'user' }) as const)
  expect(() => qemuArguments({ ...line, nics })).toThrow('at most 15 network cards')
})

test('names and values that QEMU would misread', () => {
  expect(commas('a,b')).toBe('a,,b')
  expect(() => credentialName('systemd.extra-unit.vm.service')).toThrow('1 characters too long for fw_cfg')
})

test('a recorded machine has its devices in the usual slots, on one recorder', () => {
  const recorder = { path: '/r.raw', logPath: '/r.log', systemBytes: 4096, cardBytes: 512 }
  const args = qemuArguments({ ...line, systemDisk: undefined, sdCard: undefined, recorder })
  expect(slotOf(args, 'virtio-blk-pci')).toEqual(['0x1'])
  expect(slotOf(args, 'sdhci-pci')).toEqual(['0x2'])
  expect(args.filter((arg) => arg.includes('blklogwrites'))).toHaveLength(1)
  expect(args.filter((arg) => arg.includes('"file":"recorder"'))).toEqual([
    '{"driver":"raw","node-name":"system","discard":"unmap","offset":0,"size":4096,"file":"recorder"}',
    '{"driver":"raw","node-name":"sd","discard":"unmap","offset":4096,"size":512,"file":"recorder"}',
  ])
})
