import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import { findTarget } from './find-target.ts'
import {
  findLinuxDevice,
  type LinuxRoots,
  listLinuxDisks,
  parseMounts,
  readLinuxDisk,
} from './linux-disks.ts'
import { attachLoop, runTool, whyNoLoopDevices } from './test-devices.ts'

const noLoops = await whyNoLoopDevices()

/** A machine with a system on NVMe (LUKS and LVM), a reader with a card, a built-in eMMC and a data disk. */
const devices: Readonly<Record<string, string>> = {
  nvme0n1: 'pci0000:00/0000:00:1d.0/0000:03:00.0/nvme/nvme0/nvme0n1',
  sda: 'pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda',
  sdb: 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb',
  sdc: 'pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:1/block/sdc',
  mmcblk0: 'platform/ff520000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0',
  'dm-0': 'virtual/block/dm-0',
  'dm-1': 'virtual/block/dm-1',
}
const facts: Readonly<Record<string, string>> = {
  'nvme0n1/dev': '259:0',
  'nvme0n1/size': '1000215216',
  'nvme0n1/device/model': 'Samsung SSD 980 500GB                   ',
  'nvme0n1/device/serial': 'S64DNX0R',
  'nvme0n1/removable': '0',
  'nvme0n1/nvme0n1p1/dev': '259:1',
  'nvme0n1/nvme0n1p1/partition': '1',
  'nvme0n1/nvme0n1p1/size': '1048576',
  'nvme0n1/nvme0n1p2/dev': '259:2',
  'nvme0n1/nvme0n1p2/partition': '2',
  'nvme0n1/nvme0n1p2/size': '999161856',
  'nvme0n1/nvme0n1p2/holders/dm-0/x': '',
  'dm-0/dev': '253:0',
  'dm-0/size': '999129088',
  'dm-0/holders/dm-1/x': '',
  'dm-1/dev': '253:1',
  'dm-1/size': '900000000',
  'sda/dev': '8:0',
  'sda/size': '7814037168',
  'sda/device/vendor': 'ATA     ',
  'sda/device/model': 'WDC WD40EFRX-68N',
  'sda/removable': '0',
  'sda/queue/logical_block_size': '4096',
  'sdb/dev': '8:16',
  'sdb/size': '31116288',
  'sdb/diskseq': '17',
  'sdb/device/vendor': 'Generic ',
  'sdb/device/model': 'STORAGE DEVICE  ',
  'sdb/removable': '1',
  'sdb/ro': '1',
  'sdb/sdb1/dev': '8:17',
  'sdb/sdb1/partition': '1',
  'sdb/sdb1/size': '524288',
  'sdb/sdb10/dev': '8:26',
  'sdb/sdb10/partition': '10',
  'sdb/sdb10/size': '2048',
  'sdb/sdb2/dev': '8:18',
  'sdb/sdb2/partition': '2',
  'sdb/sdb2/size': '30588928',
  'sdc/dev': '8:32',
  'sdc/size': '0',
  'sdc/removable': '1',
  'mmcblk0/dev': '179:0',
  'mmcblk0/size': '30535680',
  'mmcblk0/device/name': 'DG4016',
  'mmcblk0/device/serial': '0x2e47ad61',
  'mmcblk0/device/type': 'MMC',
  'mmcblk0/removable': '0',
}
const mountinfo = `22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
30 22 259:1 / /boot/efi rw,relatime - vfat /dev/nvme0n1p1 rw
40 22 8:17 / /media/me/my\\040card rw,nosuid,nodev - vfat /dev/sdb1 rw
41 22 0:45 /sub /srv rw - btrfs /dev/mmcblk0 rw
`
const swaps = `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/sda                                partition\t8388604\t\t0\t\t-2
`

let dir: Awaited<ReturnType<typeof scratchDir>>
let roots: LinuxRoots
beforeAll(async () => {
  dir = await scratchDir()
  roots = { sys: join(dir.path, 'sys'), proc: join(dir.path, 'proc'), udev: join(dir.path, 'udev') }
  const write = async (path: string, text: string) => {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, `${text}\n`)
  }
  await mkdir(join(roots.sys, 'block'), { recursive: true })
  await mkdir(join(roots.sys, 'dev/block'), { recursive: true })
  for (const [name, place] of Object.entries(devices)) {
    const folder = join(roots.sys, 'devices', place)
    await mkdir(folder, { recursive: true })
    await symlink(folder, join(roots.sys, 'block', name))
    if (!place.startsWith('virtual')) {
      const device = join(folder, '../..', 'device-of-it')
      await mkdir(device, { recursive: true })
      await symlink(join(folder, '../..'), join(folder, 'device'))
    }
  }
  for (const [path, text] of Object.entries(facts)) {
    await write(join(roots.sys, 'block', path), text)
    if (path.endsWith('/dev')) {
      await symlink(join(roots.sys, 'block', dirname(path)), join(roots.sys, 'dev/block', text))
    }
  }
  await write(join(roots.proc, 'self/mountinfo'), mountinfo)
  await write(join(roots.proc, 'swaps'), swaps)
  await write(join(roots.udev, 'b8:17'), 'S:disk/by-label/BOOT\nE:ID_FS_TYPE=vfat\nE:ID_FS_LABEL=BOOT')
  await write(join(roots.udev, 'b8:18'), 'E:ID_FS_TYPE=f2fs\nE:ID_PART_ENTRY_NAME=data')
})
afterAll(() => dir[Symbol.asyncDispose]())

describe('what Linux tells of disks', () => {
  test('a card in a reader: model, contents in order of number, and that it is mounted', async () => {
    expect(await readLinuxDisk('sdb', roots)).toEqual({
      path: '/dev/sdb',
      sizeBytes: 15_931_539_456,
      sectorBytes: 512,
      model: 'Generic STORAGE DEVICE',
      serial: undefined,
      connection: 'USB',
      removable: true,
      readOnly: true,
      system: false,
      uses: ['/dev/sdb1 is mounted at /media/me/my card'],
      contents: [
        { path: '/dev/sdb1', sizeBytes: 268_435_456, what: 'vfat "BOOT"' },
        { path: '/dev/sdb2', sizeBytes: 15_661_531_136, what: 'f2fs "data"' },
        { path: '/dev/sdb10', sizeBytes: 1_048_576, what: undefined },
      ],
      identity: '8:16|17|15931539456|Generic STORAGE DEVICE|',
    })
  })

  test('a system in an encrypted volume is found through what is made of the disk', async () => {
    expect(await readLinuxDisk('nvme0n1', roots)).toMatchObject({
      connection: 'NVMe',
      serial: 'S64DNX0R',
      system: true,
      uses: [
        '/dev/nvme0n1p1 is mounted at /boot/efi',
        '/dev/dm-1 is mounted at /',
        'it is part of /dev/dm-0',
        'it is part of /dev/dm-1',
      ],
    })
  })

  test('swap is of the system', async () => {
    expect(await readLinuxDisk('sda', roots)).toMatchObject({
      connection: 'SATA',
      sectorBytes: 4096,
      system: true,
      uses: ['/dev/sda is swap'],
    })
  })

  test('a file system that has a device number of its own is found by its source', async () => {
    expect(await readLinuxDisk('mmcblk0', roots)).toMatchObject({
      connection: 'eMMC',
      model: 'DG4016',
      serial: '0x2e47ad61',
      system: false,
      uses: ['/dev/mmcblk0 is mounted at /srv'],
    })
  })

  test('the list has disks with a medium, and nothing that is made of others', async () => {
    const paths = (await listLinuxDisks(roots)).map(({ path }) => path)
    expect(paths).toEqual(['/dev/mmcblk0', '/dev/nvme0n1', '/dev/sda', '/dev/sdb'])
  })

  test('a device number leads to a disk or a partition of one', async () => {
    expect(await findLinuxDevice(8, 16, roots)).toEqual({ name: 'sdb', partitionOf: undefined })
    expect(await findLinuxDevice(8, 18, roots)).toEqual({ name: 'sdb2', partitionOf: 'sdb' })
    expect(await findLinuxDevice(1, 3, roots)).toBeUndefined()
  })
})

test('mounts, with and without optional fields', () => {
  expect(parseMounts(mountinfo)).toContainEqual({
    number: '8:17',
    point: '/media/me/my card',
    source: '/dev/sdb1',
  })
  expect(parseMounts('')).toEqual([])
})

describe('paths that are no target', () => {
  const refusal = async (path: string) => {
    const error = await findTarget(path).catch((caught: Error & { hint?: string }) => caught)
    return error instanceof Error ? error.message : 'taken'
  }

  test('each is refused with the reason', async () => {
    expect(await refusal('/dev/no-such-disk')).toBe('/dev/no-such-disk is not there: ENOENT')
    expect(await refusal('/dev/null')).toBe('/dev/null is no disk')
    expect(await refusal('/')).toBe('/ is no disk')
  })
})

describe.skipIf(noLoops)(`real block devices${noLoops ? ` (skipped: ${noLoops})` : ''}`, () => {
  test('the same medium put in again is another device: nobody knows what was changed meanwhile', async () => {
    const tools = await (await openTestInputs()).toolTree('tools')
    const file = join(dir.path, 'medium')
    await writeFile(file, Buffer.alloc(1 << 20))
    const attached = async () => {
      const path = await runTool(tools, 'usr/sbin/losetup', '--find', '--show', file)
      try {
        return (await findTarget(path)).identity
      } finally {
        await runTool(tools, 'usr/sbin/losetup', '--detach', path)
      }
    }
    expect(await attached()).not.toBe(await attached())
  })

  test('what is mounted is known, of the device and of the file below it', async () => {
    const tools = await (await openTestInputs()).toolTree('tools')
    await using loop = await attachLoop(tools, dir.path, 64 << 20)
    await runTool(tools, 'usr/sbin/mkfs.ext4', '-q', loop.path)
    await using point = await scratchDir()
    await runTool(tools, 'usr/bin/mount', '-o', 'ro', '-t', 'ext4', loop.path, point.path)
    try {
      expect(await findTarget(loop.path)).toMatchObject({
        sizeBytes: 64 << 20,
        connection: 'loop',
        model: loop.backingPath,
        system: false,
        uses: [`${loop.path} is mounted at ${point.path}`],
      })
      expect(await findTarget(loop.backingPath)).toMatchObject({
        connection: 'file',
        uses: [`${loop.path} shows it as a disk`],
      })
    } finally {
      await runTool(tools, 'usr/bin/umount', point.path)
    }
  })
})
