import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { changeLabel, parseLabels, readLabels } from './labels.ts'
import { parseLastLook } from './last-look.ts'
import { parseUpgradeSettings } from './settings.ts'
import { scratch } from './test-server.ts'

test('labels are added and removed, once each', async () => {
  await using dir = await scratch()
  const path = join(dir.path, 'labels')
  expect(await readLabels(path)).toEqual([])
  expect(await changeLabel(path, 'add', 'lab')).toEqual(['lab'])
  expect(await changeLabel(path, 'add', 'berlin-2')).toEqual(['berlin-2', 'lab'])
  expect(await changeLabel(path, 'add', 'lab')).toEqual(['berlin-2', 'lab'])
  expect(await readFile(path, 'utf8')).toBe('berlin-2\nlab\n')
  expect(await changeLabel(path, 'remove', 'berlin-2')).toEqual(['lab'])
  expect(await changeLabel(path, 'remove', 'never-there')).toEqual(['lab'])
  for (const label of ['', 'Lab', '../x', 'a b', '-x']) {
    await expect(changeLabel(path, 'add', label)).rejects.toThrow('is no label')
  }
  expect(await readLabels(path)).toEqual(['lab'])
})

test('a device has at most 16 labels', async () => {
  await using dir = await scratch()
  const path = join(dir.path, 'labels')
  for (let n = 0; n < 16; n++) await changeLabel(path, 'add', `l${n}`)
  await expect(changeLabel(path, 'add', 'more')).rejects.toThrow('at most 16 labels')
})

test('lines that are no labels do not count', () => {
  expect(parseLabels('lab\n\n  desk \nNO\n\0\nlab\n')).toEqual(['desk', 'lab'])
})

test('no look yet, or one that is torn, is none', () => {
  for (const text of [undefined, '', '{', 'null']) expect(parseLastLook(text)).toBeUndefined()
})

test('settings name a server, and perhaps a channel', () => {
  const server_url = 'https://updates.example/feed'
  const parse = (channel?: unknown) => parseUpgradeSettings(JSON.stringify({ server_url, channel }))
  expect(parse()).toEqual({ serverUrl: server_url, channel: 'stable' })
  expect(parse('beta')).toEqual({ serverUrl: server_url, channel: 'beta' })
  for (const channel of ['', '../x', 7]) expect(() => parse(channel)).toThrow('"channel" is no name')
})
