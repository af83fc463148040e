import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type FoldersPresent, planRecovery } from '@atomixos/config'
import { parseConfig, renderConfig } from '@atomixos/config/operator/index.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { describe, expect, test } from 'vitest'
import {
  type ConfigFolders,
  candidateFiles,
  completeCandidate,
  keepNew,
  makeCandidate,
  promote,
  recover,
} from './config-folders.ts'
import { type Disk, realDisk, removeTree } from './disk.ts'
import { parseIds } from './owners.ts'
import { readUpload } from './read-upload.ts'
import { gzip, tarOf } from './test-archives.ts'
import { diskWithPowerFor, ownOwnerIds, PowerCut, testFolders, treeText } from './test-disk.ts'

const newToml = leastToml.replaceAll('web', 'app')
const bundle = gzip(
  tarOf([
    { name: 'config.toml', content: newToml },
    { name: 'files/a/b', content: 'B' },
    { name: 'files/secret', content: 'S', mode: 0o700 },
  ]),
)

const rendered = (toml: string) => renderConfig(parseConfig(toml).config!, toml)

/** Everything up to the promotion, as the pipeline does it. */
async function makeNew(disk: Disk, folders: ConfigFolders, keepFiles = false): Promise<void> {
  makeCandidate(disk, folders, ownOwnerIds)
  const { source } = await readUpload(bundle, candidateFiles(disk, folders, ownOwnerIds))
  const toml = Buffer.from(source).toString()
  completeCandidate(disk, folders, rendered(toml), { ownerIds: ownOwnerIds, keepFiles })
}

/** A device that was provisioned, and where people have put things of their own. */
function makeOld({ active }: ConfigFolders): void {
  mkdirSync(join(active, 'openvpn/keys'), { recursive: true })
  writeFileSync(join(active, 'openvpn/client.conf'), 'remote', { mode: 0o600 })
  writeFileSync(join(active, 'openvpn/keys/k'), 'K', { mode: 0o600 })
  for (const name of ['ssh-wan-enabled', 'usb-update-enabled', 'fleet.json'])
    writeFileSync(join(active, name), '')
  writeFileSync(join(active, 'config.toml'), leastToml)
  mkdirSync(join(active, 'files'))
  writeFileSync(join(active, 'files/old'), 'old')
}

const entries = (data: string) => readdirSync(data).sort()

describe('a candidate', () => {
  test('holds what is rendered, what came with it and what people have put beside it', async () => {
    const folders = testFolders()
    makeOld(folders)
    await makeNew(realDisk, folders)
    const text = treeText(folders.candidate)
    for (const path of rendered(newToml).keys()) expect(text).toContain(`./${path} `)
    expect(text).toContain('./files/a/b 644 "B"')
    expect(text).toContain('./files/secret 750 "S"')
    expect(text).toContain('./openvpn/client.conf 600 "remote"')
    expect(text).toContain('./openvpn/keys/k 600 "K"')
    for (const name of ['ssh-wan-enabled', 'usb-update-enabled', 'fleet.json'])
      expect(text).toContain(`./${name} 644 ""`)
    expect(text).toContain('./config.toml 600 ')
    expect(text).not.toContain('files/old')
  })

  test('keeps files/ of the active one where that is asked for', () => {
    const folders = testFolders()
    makeOld(folders)
    makeCandidate(realDisk, folders, ownOwnerIds)
    completeCandidate(realDisk, folders, rendered(newToml), { ownerIds: ownOwnerIds, keepFiles: true })
    expect(treeText(folders.candidate)).toContain('./files/old 644 "old"')
    // Not a second copy.
    expect(statSync(join(folders.candidate, 'files/old')).nlink).toBe(2)
  })

  test('takes the place of one that was left behind', async () => {
    const folders = testFolders()
    mkdirSync(join(folders.candidate, 'x/y'), { recursive: true })
    await makeNew(realDisk, folders)
    expect(treeText(folders.candidate)).not.toContain('x/y')
  })

  test('leaves a full disk as it was', async () => {
    const folders = testFolders()
    makeOld(folders)
    const before = treeText(folders.active)
    const full: Disk = {
      ...realDisk,
      write() {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      },
    }
    await expect(makeNew(full, folders)).rejects.toThrow('ENOSPC')
    expect(recover(realDisk, folders, ownOwnerIds)).toBe('whole')
    expect(treeText(folders.active)).toBe(before)
    expect(entries(folders.data)).toEqual(['config'])
  })
})

describe('recovery', () => {
  const folderNames = ['active', 'candidate', 'rollback', 'dropped'] as const

  test('whatever is there, one whole configuration and nothing else is left, and once is enough', () => {
    for (let bits = 0; bits < 16; bits += 1) {
      const folders = testFolders()
      const present = Object.fromEntries(
        folderNames.map((name, index) => [name, (bits & (1 << index)) !== 0]),
      ) as unknown as FoldersPresent
      for (const name of folderNames) {
        if (!present[name]) continue
        mkdirSync(folders[name])
        writeFileSync(join(folders[name], 'is'), name)
      }
      expect(recover(realDisk, folders, ownOwnerIds)).toBe(present.rollback ? 'undone' : 'whole')
      expect(entries(folders.data)).toEqual(['config'])
      const wanted = present.rollback ? 'rollback' : present.active ? 'active' : undefined
      expect(treeText(folders.active).includes(`"${wanted}"`)).toBe(wanted !== undefined)
      expect(recover(realDisk, folders, ownOwnerIds)).toBe('whole')
    }
  })

  test('a whole one needs no step', () => {
    expect(planRecovery({ active: true, candidate: false, rollback: false, dropped: false })).toEqual([])
  })
})

type Prepare = (folders: ConfigFolders) => void

/** From the first byte to the end, kept or taken back. */
const stories = {
  keep: async (disk: Disk, folders: ConfigFolders) => {
    await makeNew(disk, folders)
    promote(disk, folders, ownOwnerIds)
    keepNew(disk, folders)
  },
  undo: async (disk: Disk, folders: ConfigFolders) => {
    await makeNew(disk, folders)
    promote(disk, folders, ownOwnerIds)
    recover(disk, folders, ownOwnerIds)
  },
}

/** What is there when nothing interrupts. */
async function whole(
  prepare: Prepare,
  story: keyof typeof stories,
): Promise<{ old: string; new: string; calls: number }> {
  const folders = testFolders()
  prepare(folders)
  recover(realDisk, folders, ownOwnerIds)
  const old = treeText(folders.active)
  removeTree(realDisk, folders.active)
  prepare(folders)
  const counting = diskWithPowerFor(Number.POSITIVE_INFINITY)
  await stories.keep(counting.disk, folders)
  const after = treeText(folders.active)
  if (story === 'keep') return { old, new: after, calls: counting.calls() }
  const other = testFolders()
  prepare(other)
  const undoing = diskWithPowerFor(Number.POSITIVE_INFINITY)
  await stories.undo(undoing.disk, other)
  return { old, new: after, calls: undoing.calls() }
}

async function interrupted(prepare: Prepare, story: keyof typeof stories, at: number) {
  const folders = testFolders()
  prepare(folders)
  await expect(stories[story](diskWithPowerFor(at).disk, folders)).rejects.toThrow(PowerCut)
  return folders
}

describe.each([
  ['a device that has a configuration', makeOld],
  ['a device that has none', ({ active }: ConfigFolders) => void mkdirSync(active)],
  ['a device without the folder', () => {}],
])('power cuts: %s', (_, prepare) => {
  test.each(['keep', 'undo'] as const)(
    'at every call, to %s the new one: old or new, whole',
    async (story) => {
      const expected = await whole(prepare, story)
      expect(expected.calls).toBeGreaterThan(50)
      let olds = 0
      let news = 0
      for (let at = 1; at <= expected.calls; at += 1) {
        const folders = await interrupted(prepare, story, at)
        recover(realDisk, folders, ownOwnerIds)
        expect(entries(folders.data)).toEqual(['config'])
        const found = treeText(folders.active)
        if (found === expected.new) news += 1
        else {
          expect(found).toBe(expected.old)
          olds += 1
          // Once the new one is there for good, it stays.
          expect(news).toBe(0)
        }
        rmSync(folders.data, { recursive: true })
      }
      expect(olds).toBeGreaterThan(30)
      if (story === 'keep') expect(news).toBeGreaterThan(3)
      else expect(news).toBe(0)
    },
  )
})

test.each(['keep', 'undo'] as const)(
  'power cuts at every call of the recovery from one (%s)',
  async (story) => {
    const expected = await whole(makeOld, story)
    let doubleCuts = 0
    // All that follows the promotion, and a few before; of the many removals every second one.
    for (let at = expected.calls - 22; at <= expected.calls; at += 2) {
      const left = await interrupted(makeOld, story, at)
      for (let ended = false, second = 1; !ended; second += 1) {
        const folders = testFolders()
        cpSync(left.data, folders.data, { recursive: true })
        try {
          recover(diskWithPowerFor(second).disk, folders, ownOwnerIds)
          ended = true
        } catch (error) {
          expect(error).toBeInstanceOf(PowerCut)
          doubleCuts += 1
        }
        recover(realDisk, folders, ownOwnerIds)
        expect(entries(folders.data)).toEqual(['config'])
        expect([expected.old, expected.new]).toContain(treeText(folders.active))
        rmSync(folders.data, { recursive: true })
      }
      rmSync(left.data, { recursive: true })
    }
    expect(doubleCuts).toBeGreaterThan(25)
  },
  180_000,
)

test('what is renamed is on the disk before, and the renaming is before anything is thrown away', async () => {
  const folders = testFolders()
  makeOld(folders)
  const calls: string[] = []
  const disk = Object.fromEntries(
    Object.entries(realDisk).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        if (!['exists', 'list', 'close'].includes(name)) calls.push(name)
        return (call as (...args: unknown[]) => unknown)(...args)
      },
    ]),
  ) as unknown as Disk
  await makeNew(disk, folders)
  promote(disk, folders, ownOwnerIds)
  keepNew(disk, folders)
  const inShort = calls.map((name) => (/^sync|^rename/.test(name) ? name : /^remove/.test(name) ? '-' : '+'))
  expect(inShort.filter((name, index) => name !== inShort[index - 1] || /^sync|^rename/.test(name))).toEqual([
    ...['+', 'syncAll', 'rename', 'rename', 'syncFolder'],
    ...['rename', 'syncFolder', '-'],
  ])
})

test('ids of accounts', () => {
  expect(parseIds('root:x:0:0::/root:/bin/sh\nappsvc:x:900:900::/:/x\nodd\n')).toEqual(
    new Map([
      ['root', 0],
      ['appsvc', 900],
    ]),
  )
})
