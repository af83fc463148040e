import { describe, expect, test } from 'vitest'
import { type Disk, describeBytes, describeDisk, diskBytesMin, isBuiltIn, targetProblems } from './disk.ts'

const card: Disk = {
  path: '/dev/sdb',
  sizeBytes: 15_931_539_456,
  sectorBytes: 512,
  model: 'Generic STORAGE DEVICE',
  serial: '000000001206',
  connection: 'USB',
  removable: true,
  readOnly: false,
  system: false,
  uses: [],
  contents: [],
  identity: '8:16|12|15931539456',
}
const imageBytes = 1_225_785_344

describe('what may be overwritten', () => {
  test('a free card may', () => {
    expect(targetProblems(card, imageBytes)).toEqual([])
  })

  test.each<[string, Partial<Disk>, string, string]>([
    [
      'a disk of the running system',
      { system: true },
      '/dev/sdb is a disk that this machine runs from',
      'look at `./atomixos flash --list` for the one that you mean',
    ],
    [
      'what is mounted',
      { uses: ['/dev/sdb1 is mounted at /media/me/BOOT'] },
      '/dev/sdb is in use: /dev/sdb1 is mounted at /media/me/BOOT',
      'unmount it (`umount`, or the file manager) and run the command again',
    ],
    [
      'what a Mac has mounted',
      { path: '/dev/rdisk4', uses: ['/dev/disk4s1 is mounted at /Volumes/BOOT'] },
      '/dev/rdisk4 is in use: /dev/disk4s1 is mounted at /Volumes/BOOT',
      'run `diskutil unmountDisk /dev/disk4`',
    ],
    [
      'a locked card',
      { readOnly: true },
      '/dev/sdb is write-protected',
      'move the lock switch of the card or its adapter',
    ],
    [
      'sectors that the table does not count in',
      { sectorBytes: 4096 },
      "/dev/sdb has sectors of 4096 bytes; the image's partition table counts in 512",
      'take another disk or another adapter',
    ],
    [
      'a small card',
      { sizeBytes: 2_000_000_000 },
      '/dev/sdb has 2.0 GB, and the system needs 2.7 GB',
      'take a larger one; 16 GB is what the product is made for',
    ],
    [
      'a reader without a card',
      { sizeBytes: 0 },
      '/dev/sdb is empty: there is no card in the reader',
      'put a card in',
    ],
  ])('%s may not', (_, change, message, hint) => {
    expect(targetProblems({ ...card, ...change }, imageBytes)).toEqual([{ message, hint }])
  })

  test('the smallest disk is the one whose first start makes all partitions', () => {
    expect(targetProblems({ ...card, sizeBytes: diskBytesMin }, imageBytes)).toEqual([])
    expect(targetProblems({ ...card, sizeBytes: diskBytesMin - 512 }, imageBytes)).toHaveLength(1)
  })

  test('a file needs to hold the image only', () => {
    const file: Disk = { ...card, connection: 'file', sizeBytes: imageBytes }
    expect(targetProblems(file, imageBytes)).toEqual([])
    expect(targetProblems({ ...file, sizeBytes: imageBytes - 1 }, imageBytes)).toHaveLength(1)
  })

  test('every reason is given at once', () => {
    const worst: Disk = { ...card, system: true, readOnly: true, sizeBytes: 512, uses: ['a', 'b'] }
    expect(targetProblems(worst, imageBytes)).toHaveLength(5)
  })
})

test('-y does not reach what is built in', () => {
  expect(isBuiltIn(card)).toBe(false)
  expect(isBuiltIn({ ...card, removable: false })).toBe(false)
  expect(isBuiltIn({ ...card, connection: 'eMMC', removable: false })).toBe(false)
  for (const connection of ['NVMe', 'SATA', 'virtio', 'unknown'] as const) {
    expect(isBuiltIn({ ...card, connection, removable: false }), connection).toBe(true)
  }
})

test('what a person is told of a disk', () => {
  expect(describeDisk(card)).toBe('Generic STORAGE DEVICE, serial 000000001206, USB, removable, 15.9 GB')
  expect(
    describeDisk({ ...card, model: undefined, serial: undefined, connection: 'unknown', removable: false }),
  ).toBe('no model, 15.9 GB')
  expect([0, 999_999, 1e6, 10e6, 1_225_785_344, 2e12].map(describeBytes)).toEqual([
    '0 bytes',
    '999999 bytes',
    '1.0 MB',
    '10 MB',
    '1.2 GB',
    '2.0 TB',
  ])
})
