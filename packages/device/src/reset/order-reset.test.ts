import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cancelReset, orderReset, type ResetDoors } from './order-reset.ts'

describe('a factory reset', () => {
  let dir: string
  let said: string[]
  let restarts: number
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'reset-'))
    said = []
    restarts = 0
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const doors = (given: Partial<ResetDoors> = {}): ResetDoors => ({
    markPath: join(dir, 'identity/factory-reset'),
    dataUnavailable: async () => undefined,
    ask: undefined,
    remove: (path) => rm(path),
    say: (line) => said.push(line),
    restart: async () => {
      restarts++
      // Whoever restarts before the mark is there resets nothing.
      return existsSync(join(dir, 'identity/factory-reset')) ? 0 : 1
    },
    ...given,
  })

  test('leaves its mark, then restarts', async () => {
    expect(await orderReset(doors({ ask: async (word) => `${word}\n` }), { restart: true })).toBe(0)
    expect(restarts).toBe(1)
    expect(readdirSync(join(dir, 'identity'))).toEqual(['factory-reset'])
  })

  test.each(['', 'yes', 'RESET'])('another word than asked for changes nothing: "%s"', async (word) => {
    const asked = orderReset(doors({ ask: async () => word }), { restart: true })
    await expect(asked).rejects.toThrow('nothing was reset: the word was not "reset"')
    expect([readdirSync(dir), restarts]).toEqual([[], 0])
  })

  test('without /data it says what to do, and changes nothing', async () => {
    const ordered = orderReset(doors({ dataUnavailable: async () => 'bad superblock\n' }), { restart: true })
    await expect(ordered).rejects.toThrow('/data is not mounted (bad superblock)')
    expect([readdirSync(dir), restarts]).toEqual([[], 0])
  })

  test('that waits for the next start can be called off', async () => {
    expect(await orderReset(doors(), { restart: false })).toBe(0)
    expect([restarts, said[0]]).toEqual([0, expect.stringContaining('at the next start')])
    expect(await cancelReset(doors())).toBe(0)
    expect(readdirSync(join(dir, 'identity'))).toEqual([])
    await expect(cancelReset(doors())).rejects.toThrow('no factory reset waits')
  })
})
