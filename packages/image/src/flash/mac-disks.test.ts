import { expect, test } from 'vitest'
import { targetProblems } from './disk.ts'
import { parseMacContainerDisk, parseMacDisk, parseMacDiskNames, parseMacParent } from './mac-disks.ts'
import { explainOpening } from './target.ts'

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

/**
 * Written after the manual of `diskutil` and the form of its lists, of a Mac with a built-in disk, a card that it has
 * mounted and a stick with APFS; no Mac's own output.
 */
const listOfMac = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>AllDisks</key>
	<array>
		<string>disk0</string><string>disk0s1</string><string>disk0s2</string>
		<string>disk3</string><string>disk3s1</string><string>disk3s1s1</string><string>disk3s5</string>
		<string>disk4</string><string>disk4s1</string>
		<string>disk5</string><string>disk5s2</string>
		<string>disk6</string><string>disk6s1</string>
	</array>
	<key>AllDisksAndPartitions</key>
	<array>
		<dict>
			<key>Content</key><string>GUID_partition_scheme</string>
			<key>DeviceIdentifier</key><string>disk0</string>
			<key>OSInternal</key><false/>
			<key>Partitions</key>
			<array>
				<dict>
					<key>Content</key><string>Apple_APFS_ISC</string>
					<key>DeviceIdentifier</key><string>disk0s1</string>
					<key>Size</key><integer>524288000</integer>
				</dict>
				<dict>
					<key>Content</key><string>Apple_APFS</string>
					<key>DeviceIdentifier</key><string>disk0s2</string>
					<key>Size</key><integer>494384795648</integer>
				</dict>
			</array>
			<key>Size</key><integer>500277792768</integer>
		</dict>
		<dict>
			<key>APFSPhysicalStores</key>
			<array><dict><key>DeviceIdentifier</key><string>disk0s2</string></dict></array>
			<key>APFSVolumes</key>
			<array>
				<dict>
					<key>DeviceIdentifier</key><string>disk3s1</string>
					<key>MountedSnapshots</key>
					<array>
						<dict>
							<key>Sealed</key><string>Yes</string>
							<key>SnapshotBSD</key><string>/dev/disk3s1s1</string>
							<key>SnapshotMountPoint</key><string>/</string>
						</dict>
					</array>
					<key>VolumeName</key><string>Macintosh HD</string>
				</dict>
				<dict>
					<key>DeviceIdentifier</key><string>disk3s5</string>
					<key>VolumeName</key><string>Data</string>
				</dict>
			</array>
			<key>Content</key><string>EF57347C-0000-11AA-AA11-00306543ECAC</string>
			<key>DeviceIdentifier</key><string>disk3</string>
			<key>Partitions</key><array/>
			<key>Size</key><integer>494384795648</integer>
		</dict>
		<dict>
			<key>Content</key><string>GUID_partition_scheme</string>
			<key>DeviceIdentifier</key><string>disk5</string>
			<key>Partitions</key>
			<array>
				<dict>
					<key>Content</key><string>Apple_APFS</string>
					<key>DeviceIdentifier</key><string>disk5s2</string>
					<key>Size</key><integer>63800000000</integer>
				</dict>
			</array>
			<key>Size</key><integer>64023257088</integer>
		</dict>
		<dict>
			<key>APFSPhysicalStores</key>
			<array><dict><key>DeviceIdentifier</key><string>disk5s2</string></dict></array>
			<key>APFSVolumes</key>
			<array>
				<dict>
					<key>DeviceIdentifier</key><string>disk6s1</string>
					<key>MountPoint</key><string>/Volumes/Photos</string>
					<key>VolumeName</key><string>Photos</string>
				</dict>
			</array>
			<key>DeviceIdentifier</key><string>disk6</string>
		</dict>
	</array>
	<key>WholeDisks</key>
	<array><string>disk0</string><string>disk3</string><string>disk5</string><string>disk6</string></array>
</dict>
</plist>
`

test('the Mac runs from a sealed snapshot: the disk that holds the store of its container is of the system', () => {
  // Even where nothing else would say so, as with a Mac that runs from a disk on a cable.
  const info = { ...card, DeviceIdentifier: 'disk0', Internal: false }
  const disk = parseMacDisk(plist(info), listOfMac)
  expect(disk).toMatchObject({ system: true, uses: ['/dev/disk3s1s1 is mounted at /'] })
  expect(targetProblems(disk, 0).map(({ message }) => message)).toEqual([
    '/dev/rdisk0 is a disk that this machine runs from',
    '/dev/rdisk0 is in use: /dev/disk3s1s1 is mounted at /',
  ])
})

test('a stick whose container is mounted is in use, with the command that unmounts all of it', () => {
  const disk = parseMacDisk(plist({ ...card, DeviceIdentifier: 'disk5' }), listOfMac)
  expect(disk.system).toBe(false)
  expect(targetProblems(disk, 0)).toEqual([
    {
      message: '/dev/rdisk5 is in use: /dev/disk6s1 is mounted at /Volumes/Photos',
      hint: 'run `diskutil unmountDisk /dev/disk5`',
    },
  ])
})

test('a container of APFS looks like a whole disk, and has one below it', () => {
  const below = (name: string) => parseMacContainerDisk(name, listOfMac)
  expect([below('disk3'), below('disk6')]).toEqual(['disk0', 'disk5'])
  expect([below('disk0'), below('disk5'), below('disk9')]).toEqual([undefined, undefined, undefined])
})

test('what keeps the raw device from being opened is said with what helps on a Mac', () => {
  const explain = (code: string) => explainOpening('/dev/rdisk4', Object.assign(new Error(code), { code }))
  expect(explain('EBUSY')).toMatchObject({
    message: '/dev/rdisk4 cannot be written: something on this machine uses it. It was not changed.',
    hint: 'run `diskutil unmountDisk /dev/disk4`',
  })
  expect(explain('EPERM').hint).toContain('Full Disk Access')
  expect(explain('EACCES').hint).toBe('run the same command with sudo in front')
})
