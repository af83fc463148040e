import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deviceDamage, mountSource } from './verify-payload.ts'

describe('where a bundle is mounted from', () => {
  const mountinfo = [
    '22 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw',
    '90 80 254:1 / /run/rauc/mnt/bundle ro,nosuid,nodev,relatime shared:300 master:1 - squashfs /dev/dm-1 ro',
    '91 80 254:2 / /run/rauc/mnt/bundle ro,relatime - squashfs /dev/dm-2 ro',
    '92 80 254:3 / /run/a\\040b ro,relatime - squashfs /dev/mapper/c\\040d ro',
    '',
  ].join('\n')

  test.each([
    ['/proc', 'proc'],
    ['/run/rauc/mnt/bundle', '/dev/dm-2'],
    ['/run/a b', '/dev/mapper/c d'],
    ['/run/rauc', undefined],
    ['', undefined],
  ])('%s: %s', (mountPoint, source) => {
    expect(mountSource(mountinfo, mountPoint)).toBe(source)
  })
})

describe('reading a payload to its end', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atomixos-payload-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test('what can be read is whole', async () => {
    const path = join(dir, 'payload')
    await writeFile(path, Buffer.alloc(2_500_000, 1))
    expect(await deviceDamage(path)).toBeUndefined()
  })

  test('what is empty is not', async () => {
    const path = join(dir, 'empty')
    await writeFile(path, '')
    expect(await deviceDamage(path)).toBe('the bundle is damaged: its payload is empty')
  })

  test('a read that fails is told with its place', async () => {
    // Memory of a process has nothing mapped at its first page: the read fails as that of a bad block does.
    expect(await deviceDamage('/proc/self/mem')).toBe(
      'the bundle is damaged: what it holds is not what was signed (EIO at byte 0 of its payload)',
    )
  })
})
