import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { NewEvent } from '@atomixos/config'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { describe, expect, test } from 'vitest'
import { parseQuadletRuntime } from '../activation/quadlets.ts'
import { readOptional } from '../durable-file.ts'
import type { ContainerState } from './activator.ts'
import { recover } from './config-folders.ts'
import { realDisk } from './disk.ts'
import { endJob } from './end-job.ts'
import type { Job, JobRequest } from './job.ts'
import { queuedJob } from './job-report.ts'
import { type JobAnswer, type JobWorld, runJob } from './run-job.ts'
import { gzip, tarOf } from './test-archives.ts'
import { diskWithPowerFor, ownOwnerIds, PowerCut, testFolders, treeText } from './test-disk.ts'

const oldToml = leastToml
const newToml = leastToml.replaceAll('web', 'app')
const riskyToml = `${newToml}\n[network.firewall.inbound.wan]\ntcp = [443]\n`

/** A device whose file system is real, and whose containers are what a test says of their names. */
function device(
  options: {
    readonly provisioned?: boolean
    readonly containers?: (name: string) => ContainerState['state']
    readonly activationFails?: (config: string) => boolean
    readonly answer?: (job: Job | undefined, nowMs: number) => JobAnswer | undefined
    readonly disk?: JobWorld['disk']
  } = {},
) {
  const folders = testFolders()
  const { provisioned = true, containers = () => 'active', disk = realDisk } = options
  mkdirSync(folders.active)
  writeFileSync(join(folders.active, 'ssh-wan-enabled'), '')
  if (provisioned) {
    writeFileSync(join(folders.active, 'config.toml'), oldToml)
    mkdirSync(join(folders.active, 'files'))
    writeFileSync(join(folders.active, 'files/kept'), 'kept')
  }
  const events: NewEvent[] = []
  const activated: string[] = []
  const restarted: string[] = []
  const saved: Job[] = []
  const confirmed: string[] = []
  let nowMs = 0
  const activeToml = () => {
    try {
      return readFileSync(join(folders.active, 'config.toml'), 'utf8')
    } catch {
      return ''
    }
  }
  const nameOf = (toml: string) => (toml === '' ? 'none' : toml.includes('web') ? 'old' : 'new')
  const world: JobWorld = {
    disk,
    folders,
    ownerIds: ownOwnerIds,
    activator: {
      async activate() {
        activated.push(nameOf(activeToml()))
        if (options.activationFails?.(nameOf(activeToml()))) throw new Error('nft: cannot load the rules')
      },
      async containerStates() {
        const path = join(folders.active, 'quadlet-runtime.json')
        const entries = parseQuadletRuntime(
          (await readOptional(path)) ??
            '[{"unit":"web.container","service":"web.service","mode":"rootless"}]',
        )
        return entries.map(({ unit }) => {
          const name = unit.replace('.container', '')
          return { name, state: containers(name) }
        })
      },
      async restart(names) {
        restarted.push(...names)
      },
    },
    readFile: readOptional,
    save: (job) => saved.push(job),
    answer: () => options.answer?.(saved.at(-1), nowMs),
    record: (recorded) => events.push(...recorded),
    log() {},
    provisioned: async () => void confirmed.push(nameOf(activeToml())),
    sleep: async (ms) => {
      nowMs += ms
    },
    monotonicMs: () => nowMs,
    now: () => new Date(Date.UTC(2026, 0, 1) + nowMs),
  }
  const apply = (upload: string | Uint8Array, more: Partial<JobRequest> = {}) =>
    runJob(
      queuedJob('0123456789abcdef', more.source ?? 'command'),
      { source: 'command', upload: Buffer.from(upload as string), ...more },
      world,
    )
  return {
    ...{ apply, folders, events, activated, restarted, saved, confirmed, world },
    active: () => nameOf(activeToml()),
    rest: () => readdirSync(folders.data).sort(),
    eventNames: () => events.map(({ event }) => event),
  }
}

const steps = (job: Job) => job.steps.map(({ name, state }) => `${name} ${state}`).join(', ')

describe('a change', () => {
  test('is made, and told step by step', async () => {
    const it = device()
    const job = await it.apply(newToml)
    expect(job.state).toBe('succeeded')
    expect(steps(job)).toBe(
      'unpack done, validate done, render done, promote done, activate done, containers done, finish done',
    )
    expect(job.services).toEqual([{ name: 'app', state: 'active', required: true }])
    expect(job.addresses).toEqual(['http://172.20.30.1:8080'])
    expect(it.active()).toBe('new')
    expect(it.rest()).toEqual(['config'])
    expect(it.activated).toEqual(['new'])
    expect(it.eventNames()).toEqual(['config-applied'])
    expect(it.confirmed).toEqual([])
    // Every step was saved as it began and as it ended.
    for (const { name } of job.steps) {
      const told = it.saved.map((saved) => saved.steps.find((step) => step.name === name)!.state)
      expect(new Set(told)).toEqual(new Set(['waiting', 'running', 'done']))
    }
    expect(it.saved.at(-1)).toEqual(job)
  })

  test('keeps files/ where that is asked for, and drops them otherwise', async () => {
    const keeping = device()
    await keeping.apply(newToml, { keepFiles: true })
    expect(treeText(keeping.folders.active)).toContain('./files/kept')
    const dropping = device()
    await dropping.apply(newToml)
    expect(treeText(dropping.folders.active)).not.toContain('./files/kept')
    // A bundle says what its files are.
    const bundle = device()
    await bundle.apply(gzip(tarOf([{ name: 'config.toml', content: newToml }])), { keepFiles: true })
    expect(treeText(bundle.folders.active)).not.toContain('./files/kept')
    expect(treeText(bundle.folders.active)).toContain('./ssh-wan-enabled')
  })

  test('starts those anew that are named in restart', async () => {
    const it = device()
    await it.apply(newToml.replace('required = ["app"]', 'required = ["app"]\nrestart = ["app"]'))
    expect(it.restarted).toEqual(['app'])
  })
})

describe('the first configuration', () => {
  test('has the slot confirmed, and needs no confirmation itself', async () => {
    const it = device({ provisioned: false })
    const job = await it.apply(riskyToml, { source: 'boot-ui' })
    expect(job.state).toBe('succeeded')
    expect(it.confirmed).toEqual(['new'])
    expect(it.eventNames()).toEqual(['config-applied', 'provisioned'])
    expect(treeText(it.folders.active)).toContain('./ssh-wan-enabled')
  })

  test('that fails leaves a device without one, and confirms nothing', async () => {
    const it = device({ provisioned: false, containers: () => 'failed' })
    const job = await it.apply(newToml)
    expect(job).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(job.error).toBe('container "app" failed; the device has no configuration, as before')
    expect(it.active()).toBe('none')
    expect(it.activated).toEqual(['new', 'none'])
    expect(it.confirmed).toEqual([])
    expect(it.rest()).toEqual(['config'])
  })
})

describe('refused, and nothing is changed:', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['problems, all of them', 'version = 2\nusres = 1\n', 'config.toml: line 1, column 1: '],
    ['no TOML', 'version = = 1', 'config.toml: line 1, column 11: '],
    [
      'a bundle with a link',
      gzip(tarOf([{ name: 'files/x', type: '2', link: '/' }])),
      '"files/x" is a symbolic link',
    ],
    [
      'a bomb of members',
      gzip(tarOf(Array.from({ length: 4097 }, (_, i) => ({ name: `files/${i}` })))),
      '4096 members',
    ],
  ])('%s', async (_, upload, message) => {
    const it = device()
    const before = treeText(it.folders.data)
    const job = await it.apply(upload)
    expect(job.state).toBe('failed')
    expect(job.error).toContain(message)
    expect(job.error).toContain('; nothing has changed')
    expect(job.problems.length).toBeGreaterThan(0)
    expect(job.rollback).toBe(undefined)
    expect(treeText(it.folders.data)).toBe(before)
    expect(it.activated).toEqual([])
    expect(it.eventNames()).toEqual(['config-failed'])
  })

  test('problems have their places', async () => {
    const job = await device().apply('version = 2\nusres = 1\n')
    expect(job.problems.map(({ path, line }) => `${line} ${path}`)).toContain('2 usres')
    expect(job.problems.length).toBeGreaterThan(3)
  })
})

describe('taken back', () => {
  test('when a container does not come up', async () => {
    const it = device({ containers: (name) => (name === 'app' ? 'failed' : 'active') })
    const before = treeText(it.folders.active)
    const job = await it.apply(newToml)
    expect(job).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(job.error).toBe('container "app" failed; the configuration before is active again')
    expect(steps(job)).toBe(
      'unpack done, validate done, render done, promote done, activate done, containers failed, finish waiting, rollback done',
    )
    expect(treeText(it.folders.active)).toBe(before)
    expect(it.rest()).toEqual(['config'])
    expect(it.activated).toEqual(['new', 'old'])
    expect(it.eventNames()).toEqual(['config-rolled-back'])
    // Of the one that was applied.
    expect(job.services).toEqual([{ name: 'app', state: 'failed', required: true }])
    expect(job.addresses).toEqual(['http://172.20.30.1:8080'])
  })

  test('when the activation fails', async () => {
    const it = device({ activationFails: (config) => config === 'new' })
    const job = await it.apply(newToml)
    expect(job).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(job.error).toContain('nft: cannot load the rules')
    expect(it.active()).toBe('old')
  })

  test('not completely: the job says so, and the files are the old ones', async () => {
    for (const options of [{ activationFails: () => true }, { containers: () => 'failed' as const }]) {
      const it = device(options)
      const job = await it.apply(newToml)
      expect(job).toMatchObject({ state: 'failed', rollback: 'failed' })
      expect(job.error).toContain('not wholly active again')
      expect(it.active()).toBe('old')
      expect(it.rest()).toEqual(['config'])
    }
  })
})

test('a disk that fails at the promotion: nothing has changed', async () => {
  const failing = (call: number) => {
    let count = 0
    const rename: JobWorld['disk']['rename'] = (from, to) => {
      count += 1
      if (count === call) throw new Error('EIO: i/o error')
      realDisk.rename(from, to)
    }
    return device({ disk: { ...realDisk, rename } })
  }
  const first = failing(1)
  const job = await first.apply(newToml)
  expect(job.error).toBe('EIO: i/o error; nothing has changed')
  expect(first.activated).toEqual([])
  expect(first.rest()).toEqual(['config'])
  const second = failing(2)
  expect(await second.apply(newToml)).toMatchObject({ state: 'failed', rollback: 'completed' })
  expect(second.active()).toBe('old')
  expect(second.rest()).toEqual(['config'])
})

test('a full disk: nothing has changed, and it is not fuller than before', async () => {
  const write: JobWorld['disk']['write'] = () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  }
  const it = device({ disk: { ...realDisk, write } })
  const job = await it.apply(newToml)
  expect(job.error).toBe('there is no space left on /data for it; nothing has changed')
  expect(it.active()).toBe('old')
  expect(it.rest()).toEqual(['config'])
})

describe('confirmation', () => {
  test('changes over the network that may lock out wait for it, five minutes', async () => {
    const it = device()
    const job = await it.apply(riskyToml, { source: 'api', actor: 'alice' })
    expect(job).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect(job.error).toContain('nobody confirmed it within 300 s')
    expect(it.active()).toBe('old')
    const waiting = it.saved.filter(({ state }) => state === 'waiting-for-confirmation')
    // Three seconds after the start: so long containers stay up first.
    expect(waiting[0]!.confirmBefore).toBe('2026-01-01T00:05:03.000Z')
    expect(it.events[0]!.detail).toContain('api, alice')
  })

  test('confirmed, it stays', async () => {
    const it = device({ answer: () => 'confirm' })
    const job = await it.apply(riskyToml, { source: 'api' })
    expect(job.state).toBe('succeeded')
    expect(job.confirmBefore).toBe(undefined)
    expect(steps(job)).toContain('containers done, confirm done, finish done')
    expect(it.active()).toBe('new')
    expect(it.eventNames()).toEqual(['config-confirmed', 'config-applied'])
  })

  test('taken back on demand', async () => {
    const it = device({ answer: (_, nowMs) => (nowMs > 2000 ? 'rollback' : undefined) })
    const job = await it.apply(newToml, { confirmS: 60 })
    expect(job.error).toContain('taken back on demand')
    expect(it.active()).toBe('old')
  })

  test('what is asked for holds', async () => {
    expect((await device().apply(riskyToml, { source: 'api', confirmS: 0 })).state).toBe('succeeded')
    expect((await device().apply(newToml, { source: 'api' })).state).toBe('succeeded')
    expect((await device().apply(newToml, { source: 'command', confirmS: 5 })).error).toContain('within 5 s')
  })
})

describe('the power is cut at every call', () => {
  test.each([
    ['good', 'active'],
    ['bad', 'failed'],
  ] as const)('of applying a %s one: the next start has one whole configuration', async (_, state) => {
    const containers = (name: string) => (name === 'app' ? state : ('active' as const))
    const upload = gzip(
      tarOf([
        { name: 'config.toml', content: newToml },
        { name: 'files/a', content: 'A' },
      ]),
    )
    const counting = diskWithPowerFor(Number.POSITIVE_INFINITY)
    const undisturbed = device({ containers, disk: counting.disk })
    await undisturbed.apply(upload)
    const found: string[] = []
    for (let at = 1; at <= counting.calls(); at += 1) {
      const it = device({ containers, disk: diskWithPowerFor(at).disk })
      const before = treeText(it.folders.active)
      // Without power nothing goes on; here the program does, and can do nothing to the disk any more.
      await it.apply(upload).catch((error) => expect(error).toBeInstanceOf(PowerCut))
      recover(realDisk, it.folders, ownOwnerIds)
      expect(it.rest()).toEqual(['config'])
      found.push(it.active())
      if (it.active() === 'old') expect(treeText(it.folders.active)).toBe(before)
      else expect(treeText(it.folders.active)).toBe(treeText(undisturbed.folders.active))
      rmSync(it.folders.data, { recursive: true })
    }
    const firstNew = found.indexOf('new')
    if (state === 'failed') expect(firstNew).toBe(-1)
    else expect(found.slice(firstNew).every((name) => name === 'new')).toBe(true)
  })
})

describe('a program that dies', () => {
  /** Killed when the job has been saved so often. */
  async function killedAt(count: number) {
    const it = device({ answer: () => 'confirm' })
    const killed = new Error('killed')
    let last: Job | undefined
    const save = (job: Job) => {
      if (it.saved.length >= count) throw killed
      it.saved.push(job)
      last = job
    }
    const dead = diskWithPowerFor(Number.POSITIVE_INFINITY)
    const disk = Object.fromEntries(
      Object.entries(dead.disk).map(([name, call]) => [
        name,
        (...args: unknown[]) => {
          if (it.saved.length >= count) throw killed
          return (call as (...args: unknown[]) => unknown)(...args)
        },
      ]),
    ) as unknown as JobWorld['disk']
    const request = { source: 'api', upload: Buffer.from(riskyToml) } as const
    await runJob(queuedJob('0123456789abcdef', 'api'), request, { ...it.world, save, disk }).catch(() => {})
    return { it, last: last ?? queuedJob('0123456789abcdef', 'api') }
  }

  test('wherever it was: what it began is taken back, or stands, and the job says which', async () => {
    const outcomes = new Set<string>()
    for (let count = 1; count < 40; count += 1) {
      const { it, last } = await killedAt(count)
      it.events.length = 0
      it.activated.length = 0
      const job = await endJob(last, { ...it.world, save: () => {} })
      const active = it.active()
      expect(it.rest()).toEqual(['config'])
      if (job.state === 'succeeded') expect(active).toBe('new')
      else {
        expect(active).toBe('old')
        expect(job.error).toContain('ended before its time')
        expect(it.activated).toEqual(job.rollback === undefined ? [] : ['old'])
      }
      outcomes.add(`${job.state} ${job.rollback}`)
      rmSync(it.folders.data, { recursive: true })
    }
    expect(outcomes).toEqual(new Set(['failed undefined', 'failed completed', 'succeeded undefined']))
  })
})
