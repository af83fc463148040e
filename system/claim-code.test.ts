/** The device's own script on cards that were flashed: mtools reads them in the place of the kernel. */
import { spawnSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Gpt } from '@atomixos/image/disk/gpt.ts'
import { findTarget } from '@atomixos/image/flash/find-target.ts'
import { flash } from '@atomixos/image/flash/flash.ts'
import { readFlashImage } from '@atomixos/image/flash/flash-image.ts'
import { writeTestImage } from '@atomixos/image/flash/test-image.ts'
import { openTestInputs, type TestInputs } from '@atomixos/image/kernel/test-inputs.ts'
import { silentReporter } from '@atomixos/image/reporter.ts'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

const script = join(import.meta.dirname, 'modules/boot-partition-code.sh')

let given: TestInputs
let dir: string
let image: string
let gpt: Gpt
let count = 0
/** /data/identity, and /run/atomixos. */
let identity: string
let memory: string
beforeAll(async () => {
  given = await openTestInputs()
  dir = await mkdtemp(join(tmpdir(), 'claim-code-'))
  image = join(dir, 'image.img')
  gpt = await writeTestImage(image, given, 1)
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
  await given[Symbol.asyncDispose]()
})
beforeEach(async () => {
  count += 1
  identity = join(dir, `identity-${count}`)
  await mkdir(identity)
})

/** A card with this code, or with none. */
async function card(claimCode: string | undefined): Promise<string> {
  const path = join(dir, 'card')
  await rm(path, { force: true })
  await writeFile(path, '')
  await truncate(path, gpt.diskBytes)
  const { signal } = new AbortController()
  const plan = { image: await readFlashImage(image, signal), disk: await findTarget(path) }
  await flash({ ...plan, seed: undefined, claimCode }, { reporter: silentReporter, signal })
  return path
}

/** One start of a device with this card; undefined: one whose partition cannot be read. */
async function start(path: string | undefined, { readOnly = false } = {}) {
  memory = join(dir, `run-${count}`)
  const stubs = join(dir, 'stubs')
  await rm(memory, { recursive: true, force: true })
  await mkdir(join(memory, 'atomixos'), { recursive: true })
  await mkdir(stubs, { recursive: true })
  const { loader, env } = given.tools.unconfined()
  const mcopy = [...loader, join(given.tools.dir, 'usr/bin/mcopy')].map((word) => `'${word}'`).join(' ')
  const { offsetBytes } = gpt.partitions[0]!
  const read = `exec ${mcopy} -s -n -i '${path}@@${offsetBytes}' '::*' "$last/"`
  const programs = {
    mount: path === undefined ? 'exit 32' : `for last in "$@"; do :; done\n${read}`,
    umount: 'rm -rf "$1"/*',
  }
  for (const [name, body] of Object.entries(programs)) {
    await writeFile(join(stubs, name), `#!/bin/sh\n${body}\n`)
    await chmod(join(stubs, name), 0o755)
  }
  const ran = spawnSync(
    loader[0] ?? '',
    [
      ...[
        ...loader.slice(1),
        join(given.tools.dir, 'usr/bin/bwrap'),
        '--unshare-user',
        '--uid',
        '0',
        '--gid',
        '0',
      ],
      ...['--ro-bind', '/', '/', '--dev', '/dev', '--bind', memory, '/run'],
      ...[
        '--tmpfs',
        '/mnt',
        readOnly ? '--ro-bind' : '--bind',
        identity,
        '/mnt/identity',
        '--setenv',
        'PATH',
        `${stubs}:/usr/bin:/bin`,
      ],
      // The one thing that is put elsewhere: not every machine has a /data to lay it over.
      ...['--', 'sh', '-c', 'sed s,/data/identity/,/mnt/identity/, "$0" | sh', script],
    ],
    { encoding: 'utf8', env: { ...process.env, ...env } },
  )
  expect(ran.status, ran.stderr).toBe(0)
  const text = (file: string) => readFile(file, 'utf8').catch(() => undefined)
  return {
    said: ran.stdout,
    /** What the API goes by: empty, there is none; undefined, nobody knows. */
    code: await text(join(memory, 'atomixos/claim-code')),
    kept: await text(join(identity, 'claim-code')),
  }
}

test('the code of a flashed card counts, and is kept for root alone', async () => {
  expect(await start(await card('mango-42-river'))).toEqual({
    ...{ said: '', code: 'mango-42-river', kept: 'mango-42-river' },
  })
  expect((await stat(join(identity, 'claim-code'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(memory, 'atomixos/claim-code'))).mode & 0o777).toBe(0o600)
})

test('an update that writes the partition anew does not take it away', async () => {
  await start(await card('mango-42-river'))
  expect(await start(await card(undefined))).toMatchObject({ said: '', code: 'mango-42-river' })
})

test('another code on the partition takes the place of the one that was kept', async () => {
  await start(await card('mango-42-river'))
  expect(await start(await card('lemon-43-brook'))).toMatchObject({
    code: 'lemon-43-brook',
    kept: 'lemon-43-brook',
  })
})

test('without one there is none, and nothing is kept', async () => {
  expect(await start(await card(undefined))).toEqual({ said: '', code: '', kept: undefined })
})

test('a partition that cannot be read: the code that was kept, or nobody may', async () => {
  expect(await start(undefined)).toMatchObject({
    code: undefined,
    said: expect.stringContaining('it is not known whether there is a claim code'),
  })
  await start(await card('mango-42-river'))
  expect(await start(undefined)).toMatchObject({ code: 'mango-42-river' })
})

test('a /data that takes nothing: the code counts all the same, and the journal says so', async () => {
  expect(await start(await card('mango-42-river'), { readOnly: true })).toMatchObject({
    ...{ code: 'mango-42-river', kept: undefined },
    said: expect.stringContaining('an update may lose it'),
  })
})

test('one that was lost on /data is not taken for none', async () => {
  await writeFile(join(identity, 'claim-code'), '')
  expect((await start(await card(undefined))).code).toBeUndefined()
})
