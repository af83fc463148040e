import { expect, test } from 'vitest'
import { parseMacDisk, parseMacDiskNames, parseMacParent } from './mac-disks.ts'

type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value }

/** A property list in the form that `diskutil -plist` prints. */
function plist(value: Value): string {
  const element = (of: Value): string => {
    if (typeof of === 'string') return `<string>${of.replaceAll('&', '&amp;')}</string>`
    if (typeof of === 'number') return `<integer>${of}</integer>`
    if (typeof of === 'boolean') return of ? '<true/>' : '<false/>'
    if (Array.isArray(of)) return `<array>\n${of.map(element).join('\n')}\n</array>`
    const entries = Object.entries(of as Record<string, Value>)
    return `<dict>\n${entries.map(([key, entry]) => `<key>${key}</key>\n${element(entry)}`).join('\n')}\n</dict>`
  }
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
${element(value)}
</plist>
`
}

const card = {
  DeviceIdentifier: 'disk4',
  WholeDisk: true,
  DeviceBlockSize: 512,
  TotalSize: 15_931_539_456,
  MediaName: 'SD & MMC Reader',
  BusProtocol: 'USB',
  Internal: false,
  RemovableMedia: true,
  Ejectable: true,
  WritableMedia: true,
  VirtualOrPhysical: 'Physical',
}
const list = plist({
  AllDisksAndPartitions: [
    {
      DeviceIdentifier: 'disk0',
      Content: 'GUID_partition_scheme',
      Size: 500_000_000_000,
      Partitions: [{ DeviceIdentifier: 'disk0s2', Content: 'Apple_APFS', Size: 499_000_000_000 }],
    },
    {
      DeviceIdentifier: 'disk3',
      APFSPhysicalStores: [{ DeviceIdentifier: 'disk0s2' }],
      APFSVolumes: [{ DeviceIdentifier: 'disk3s1', VolumeName: 'Macintosh HD', MountPoint: '/' }],
    },
    {
      DeviceIdentifier: 'disk4',
      Content: 'FDisk_partition_scheme',
      Size: 15_931_539_456,
      Partitions: [
        {
          DeviceIdentifier: 'disk4s1',
          Content: 'Windows_FAT_32',
          VolumeName: 'BOOT',
          MountPoint: '/Volumes/BOOT',
          Size: 268_435_456,
        },
        { DeviceIdentifier: 'disk4s2', Content: 'Linux', Size: 15_661_531_136 },
      ],
    },
  ],
})

test('a card in a reader is the raw device, mounted where the list says', () => {
  expect(parseMacDisk(plist(card), list)).toEqual({
    path: '/dev/rdisk4',
    sizeBytes: 15_931_539_456,
    sectorBytes: 512,
    model: 'SD & MMC Reader',
    serial: undefined,
    connection: 'USB',
    removable: true,
    readOnly: false,
    system: false,
    uses: ['/dev/disk4s1 is mounted at /Volumes/BOOT'],
    contents: [
      { path: '/dev/disk4s1', sizeBytes: 268_435_456, what: 'Windows_FAT_32 "BOOT"' },
      { path: '/dev/disk4s2', sizeBytes: 15_661_531_136, what: 'Linux' },
    ],
    identity: 'disk4|15931539456|SD & MMC Reader|USB|',
  })
})

test('the disk below the container that the Mac runs from is of the system', () => {
  const info = {
    ...card,
    DeviceIdentifier: 'disk0',
    Internal: false,
    RemovableMedia: false,
    Ejectable: false,
  }
  expect(parseMacDisk(plist(info), list)).toMatchObject({
    system: true,
    uses: ['/dev/disk3s1 is mounted at /'],
  })
})

test('a built-in disk is of the system whatever is mounted; a card in a built-in reader is not', () => {
  const builtIn = { ...card, DeviceIdentifier: 'disk9', Internal: true }
  expect(parseMacDisk(plist({ ...builtIn, RemovableMedia: false, Ejectable: false }), list).system).toBe(true)
  expect(parseMacDisk(plist({ ...builtIn, BusProtocol: 'Secure Digital' }), list)).toMatchObject({
    system: false,
    connection: 'SD card',
  })
})

test('a locked card is read-only', () => {
  expect(parseMacDisk(plist({ ...card, WritableMedia: false }), list).readOnly).toBe(true)
})

test('a partition has a parent, a whole disk none', () => {
  expect(parseMacParent(plist(card))).toBeUndefined()
  expect(parseMacParent(plist({ WholeDisk: false, ParentWholeDisk: 'disk4' }))).toBe('disk4')
})

test('names of whole disks', () => {
  expect(parseMacDiskNames(list)).toEqual(['disk0', 'disk3', 'disk4'])
})
