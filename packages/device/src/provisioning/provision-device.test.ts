import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Job } from '../apply/job.ts'
import { queuedJob } from '../apply/job-report.ts'
import { provisionDevice, waitingText } from './provision-device.ts'
import { readFirst, type Seed, stickSeedNames } from './read-seed.ts'
import { readUsbPartitions, type UsbPartition } from './usb-partitions.ts'

const stick = (name: string, sequence: number): UsbPartition => ({
  name,
  fileSystem: 'vfat',
  key: `${name} ${sequence}`,
})

const seed = (text: string): Seed => ({ name: 'config.toml', bytes: Buffer.from(text) })

/** A device where things happen at moments; uploads that say "good" are configurations. */
async function provisioned(options: {
  readonly fresh?: boolean
  readonly boot?: Seed | Error
  readonly sticks?: (nowS: number) => readonly UsbPartition[]
  readonly stick?: (partition: UsbPartition) => Seed | Error | undefined
  readonly bootUi?: (nowS: number) => 'busy' | 'done' | undefined
  readonly addresses?: (nowS: number) => readonly string[]
}): Promise<string[]> {
  const told: string[] = []
  let nowS = 0
  let done = false
  const give = async (found: Seed | Error | undefined) => {
    if (found instanceof Error) throw found
    return found
  }
  await provisionDevice({
    isProvisioned: () => done || options.bootUi?.(nowS) === 'done',
    isBusy: async () => options.bootUi?.(nowS) === 'busy',
    looksAtBoot: () => options.fresh ?? false,
    readBootSeed: () => give(options.boot),
    partitions: () => options.sticks?.(nowS) ?? [],
    readStick: (partition) => give(options.stick?.(partition)),
    async apply(source, upload): Promise<Job> {
      const text = Buffer.from(upload).toString()
      told.push(`${source}: ${text}`)
      done = text === 'good'
      const problems = [{ path: 'usres', message: 'there is no such key', line: 3, column: 1 }]
      const job = queuedJob('0123456789abcdef', source)
      return done ? { ...job, state: 'succeeded' } : { ...job, state: 'failed', error: 'it is bad', problems }
    },
    addresses: () => options.addresses?.(nowS) ?? ['172.20.30.1'],
    tell: (line) => told.push(line),
    async sleep(ms) {
      nowS += ms / 1000
      if (nowS > 3600) throw new Error(`still waiting: ${told.join('\n')}`)
    },
  })
  return told
}

const waiting =
  'this device is not provisioned: it waits for a USB stick with config.toml, or for its page at http://172.20.30.1:8080'

test('after flashing: the boot partition first', async () => {
  expect(await provisioned({ fresh: true, boot: seed('good'), sticks: () => [stick('sda1', 1)] })).toEqual([
    'applying config.toml of the boot partition',
    'boot-partition: good',
    'this device is provisioned',
  ])
})

test('after a wipe: the boot partition is not looked at', async () => {
  const told = await provisioned({
    boot: seed('good'),
    sticks: () => [stick('sda1', 1)],
    stick: () => seed('good'),
  })
  expect(told[0]).toBe('applying config.toml of the USB stick (sda1)')
})

test('a seed that fails is told with its problems, and the next source has its turn', async () => {
  const told = await provisioned({
    fresh: true,
    boot: seed('bad'),
    sticks: (nowS) => (nowS < 10 ? [] : [stick('sda1', 1)]),
    stick: () => seed('good'),
  })
  expect(told).toEqual([
    'applying config.toml of the boot partition',
    'boot-partition: bad',
    'config.toml of the boot partition was not applied: it is bad',
    '  config.toml:3:1: usres: there is no such key',
    waiting,
    'applying config.toml of the USB stick (sda1)',
    'usb: good',
    'this device is provisioned',
  ])
})

test('a stick is tried once each time that it is plugged in', async () => {
  const read: string[] = []
  const told = await provisioned({
    sticks: (nowS) => (nowS < 20 ? [stick('sda1', 1)] : nowS < 30 ? [] : [stick('sda1', 2)]),
    stick({ key }) {
      read.push(key)
      return seed(key === 'sda1 2' ? 'good' : 'bad')
    },
  })
  expect(read).toEqual(['sda1 1', 'sda1 2'])
  expect(told.filter((line) => line === waiting)).toHaveLength(1)
})

test('sticks without a configuration, and broken ones, stop nobody', async () => {
  const told = await provisioned({
    fresh: true,
    boot: new Error('/dev/atomixos/boot-a cannot be read:\n\x1b[31mbad superblock'),
    sticks: () => [stick('sda1', 1), stick('sdb1', 2), stick('sdc', 3)],
    stick: ({ name }) => ({ sda1: undefined, sdb1: new Error('no'), sdc: seed('good') })[name],
  })
  expect(told.slice(0, 4)).toEqual([
    'the boot partition: /dev/atomixos/boot-a cannot be read: [31mbad superblock',
    'the USB stick (sda1) holds no configuration',
    'the USB stick (sdb1): no',
    'applying config.toml of the USB stick (sdc)',
  ])
})

test('while the boot UI is at work sticks wait, and what it does ends the waiting', async () => {
  const told = await provisioned({
    sticks: (nowS) => (nowS < 10 ? [] : [stick('sda1', 1)]),
    bootUi: (nowS) => (nowS < 8 ? undefined : nowS < 60 ? 'busy' : 'done'),
  })
  expect(told).toEqual([waiting, 'this device is provisioned'])
})

test('new addresses are told, once each', async () => {
  const told = await provisioned({
    addresses: (nowS) => (nowS < 10 ? [] : nowS < 60 ? ['172.20.30.1'] : ['172.20.30.1', '192.0.2.7']),
    bootUi: (nowS) => (nowS < 100 ? undefined : 'done'),
  })
  expect(told).toEqual([
    waitingText([]),
    waiting,
    waitingText(['172.20.30.1', '192.0.2.7']),
    'this device is provisioned',
  ])
  expect(told[2]).toContain('http://172.20.30.1:8080 or http://192.0.2.7:8080')
})

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'atomixos-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

describe('partitions', () => {
  test('of USB sticks with a file system of ours, and of nothing else', () => {
    const dir = scratch()
    const [sys, data] = [join(dir, 'class'), join(dir, 'udev')]
    mkdirSync(sys)
    mkdirSync(data)
    const disk = (path: string, name: string, number: string, fileSystem?: string, partition = false) => {
      const device = join(dir, 'devices', path)
      mkdirSync(device, { recursive: true })
      writeFileSync(join(device, 'dev'), `${number}\n`)
      if (partition) writeFileSync(join(device, 'partition'), '1\n')
      else writeFileSync(join(device, 'diskseq'), `${number.split(':')[1]}7\n`)
      symlinkSync(device, join(sys, name))
      if (fileSystem !== undefined) {
        writeFileSync(join(data, `b${number}`), `S:x\nE:ID_FS_TYPE=${fileSystem}\nE:ID_BUS=usb\n`)
      }
    }
    const port = (number: number) => `soc/ff580000.usb/usb1/1-${number}/host0/block`
    disk(`${port(1)}/sda`, 'sda', '8:0')
    disk(`${port(1)}/sda/sda1`, 'sda1', '8:1', 'vfat', true)
    disk(`${port(1)}/sda/sda2`, 'sda2', '8:2', 'btrfs', true)
    disk(`${port(2)}/sdb`, 'sdb', '8:16', 'exfat')
    disk(`${port(3)}/sdc`, 'sdc', '8:32')
    disk('soc/ff520000.mmc/mmc_host/mmc0/block/mmcblk0', 'mmcblk0', '179:0')
    disk('soc/ff520000.mmc/mmc_host/mmc0/block/mmcblk0/mmcblk0p1', 'mmcblk0p1', '179:1', 'vfat', true)
    symlinkSync(join(dir, 'gone'), join(sys, 'sdd'))
    expect(readUsbPartitions(sys, data)).toEqual([
      { name: 'sda1', fileSystem: 'vfat', key: 'sda1 07' },
      { name: 'sdb', fileSystem: 'exfat', key: 'sdb 167' },
    ])
  })
})

describe('files of a stick', () => {
  test('config.toml before bundles, and other names not at all', async () => {
    const dir = scratch()
    writeFileSync(join(dir, 'other.tar.gz'), 'x')
    expect(await readFirst(dir, stickSeedNames)).toBe(undefined)
    writeFileSync(join(dir, 'config.tgz'), 'bundle')
    expect((await readFirst(dir, stickSeedNames))?.name).toBe('config.tgz')
    writeFileSync(join(dir, 'config.toml'), 'toml')
    const found = await readFirst(dir, stickSeedNames)
    expect([found?.name, Buffer.from(found!.bytes).toString()]).toEqual(['config.toml', 'toml'])
  })

  test('no links, folders, or more than an upload may be', async () => {
    const link = scratch()
    symlinkSync('/etc/passwd', join(link, 'config.toml'))
    await expect(readFirst(link, stickSeedNames)).rejects.toThrow('config.toml cannot be read: it is a link')
    const folder = scratch()
    mkdirSync(join(folder, 'config.toml'))
    await expect(readFirst(folder, stickSeedNames)).rejects.toThrow('config.toml is no regular file')
    const large = scratch()
    writeFileSync(join(large, 'config.toml'), '')
    truncateSync(join(large, 'config.toml'), (32 << 20) + 1)
    await expect(readFirst(large, stickSeedNames)).rejects.toThrow('config.toml is larger than 32 MiB')
  })
})
