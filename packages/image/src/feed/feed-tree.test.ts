import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addBundle, exclusively, listChannels, makeFeed, replaceFile } from './feed-tree.ts'

let dir: string
let feed: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-tree-'))
  feed = join(dir, 'feed')
  await makeFeed(feed)
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function files(): Promise<string[]> {
  const entries = await readdir(feed, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

test('a bundle is there under the name of its contents, for everybody to read', async () => {
  const path = join(dir, 'hello')
  await writeFile(path, 'hello\n', { mode: 0o600 })
  const added = await addBundle(feed, { path, board: 'rock64', version: '1.4.0-rc.1+5' })
  expect(added).toEqual({
    path: 'bundles/rock64/atomixos-rock64-1.4.0-rc.1_5-5891b5b522d5.raucb',
    sizeBytes: 6,
    sha256: '5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03',
  })
  const there = join(feed, added.path)
  expect(await readFile(there, 'utf8')).toBe('hello\n')
  expect((await stat(there)).mode & 0o777).toBe(0o644)
  const { ino } = await stat(there)
  expect(await addBundle(feed, { path, board: 'rock64', version: '1.4.0-rc.1+5' })).toEqual(added)
  expect((await stat(there)).ino).toBe(ino)
  await writeFile(there, 'damaged')
  await addBundle(feed, { path, board: 'rock64', version: '1.4.0-rc.1+5' })
  expect(await readFile(there, 'utf8')).toBe('hello\n')
})

test('other contents get another name: nobody who fetches is disturbed', async () => {
  for (const text of ['one', 'two']) {
    await writeFile(join(dir, text), text)
    await addBundle(feed, { path: join(dir, text), board: 'rock64', version: '1.4.0' })
  }
  expect(await files()).toHaveLength(2)
})

test('what is not finished is not there', async () => {
  const path = join(feed, 'channels/rock64/stable.channel')
  await replaceFile(path, (unfinished) => writeFile(unfinished, 'one'))
  const fails = replaceFile(path, async (unfinished) => {
    await writeFile(unfinished, 'tw')
    throw new Error('power cut')
  })
  await expect(fails).rejects.toThrow('power cut')
  expect(await readFile(path, 'utf8')).toBe('one')
  expect(await files()).toEqual(['stable.channel'])
})

test('a copy that is stopped leaves nothing', async () => {
  const path = join(dir, 'large')
  await writeFile(path, Buffer.alloc(1 << 20))
  const signal = AbortSignal.abort(new Error('stop'))
  await expect(addBundle(feed, { path, board: 'rock64', version: '1.0.0', signal })).rejects.toThrow()
  expect(await files()).toEqual([])
})

test('two publishers do not work at a time, and one that failed does not stop the next', async () => {
  await exclusively(feed, async () => {
    await expect(exclusively(feed, async () => 'never')).rejects.toThrow(
      `somebody else is publishing into ${feed}`,
    )
  })
  await expect(
    exclusively(feed, async () => {
      throw new Error('failed')
    }),
  ).rejects.toThrow('failed')
  expect(await exclusively(feed, async () => 'done')).toBe('done')
  expect(await files()).toEqual([])
})

test('channels are found in order; other files are none', async () => {
  for (const name of [
    'rock64/stable.channel',
    'rock64/beta.channel',
    'apple/x.channel',
    'rock64/notes.txt',
  ]) {
    await mkdir(join(feed, 'channels', name, '..'), { recursive: true })
    await writeFile(join(feed, 'channels', name), '')
  }
  const found = (await listChannels(feed)).map(({ board, channel }) => `${board} ${channel}`)
  expect(found).toEqual(['apple x', 'rock64 beta', 'rock64 stable'])
  await expect(listChannels(join(dir, 'nowhere'))).rejects.toThrow('nowhere is no folder')
})
