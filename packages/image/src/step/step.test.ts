import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentReporter } from '../reporter.ts'
import { canonicalJson } from './canonical-json.ts'
import { codeIdentity } from './code-identity.ts'
import { type Step, StepRunner, stepId } from './step.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-step-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const runner = (signal = new AbortController().signal) =>
  new StepRunner({ cacheDir: dir, reporter: silentReporter, signal })

function countingStep(inputs: unknown, counter: { runs: number }): Step {
  return {
    name: 'counting',
    code: 'code',
    inputs,
    async run({ outDir }) {
      counter.runs += 1
      await writeFile(join(outDir, 'result'), JSON.stringify(inputs))
    },
  }
}

test('the same step runs once, in this process and the next', async () => {
  const counter = { runs: 0 }
  const steps = runner()
  const [first, second] = await Promise.all([
    steps.run(countingStep({ a: 1, b: 2 }, counter)),
    steps.run(countingStep({ b: 2, a: 1 }, counter)),
  ])
  expect(second.dir).toBe(first.dir)
  const later = await runner().run(countingStep({ a: 1, b: 2 }, counter))
  expect(later.cached).toBe(true)
  expect(counter.runs).toBe(1)
  expect(await readFile(join(later.dir, 'result'), 'utf8')).toBe('{"a":1,"b":2}')
})

test('other inputs, another name or other code is another step', () => {
  const base = { name: 'n', code: 'c', inputs: [1] }
  const ids = [base, { ...base, inputs: [2] }, { ...base, name: 'm' }, { ...base, code: 'd' }].map(stepId)
  expect(new Set(ids).size).toBe(4)
})

test('a failed step leaves no result, and its work for whoever looks for the reason', async () => {
  const failing = { ...countingStep(1, { runs: 0 }), run: () => Promise.reject(new Error('no')) }
  await expect(runner().run(failing)).rejects.toThrow('no')
  expect(await readdir(join(dir, 'work'))).toHaveLength(1)
  await expect(readdir(join(dir, 'steps'))).rejects.toThrow('ENOENT')
})

test('an interrupted step leaves nothing at all', async () => {
  const controller = new AbortController()
  const step = {
    ...countingStep(1, { runs: 0 }),
    run: async () => {
      controller.abort(new Error('stop'))
    },
  }
  await expect(runner(controller.signal).run(step)).rejects.toThrow('stop')
  expect(await readdir(join(dir, 'work'))).toEqual([])
})

test('what JSON would drop has no place in an identity', () => {
  expect(canonicalJson({ b: [1, null], a: undefined, c: 'x' })).toBe('{"b":[1,null],"c":"x"}')
  expect(() => canonicalJson(Number.NaN)).toThrow('no place in an identity')
  expect(() => canonicalJson(() => {})).toThrow('no place in an identity')
})

test('code changes with what it imports, not with types, neighbours or place', async () => {
  const write = async (folder: string, sources: Record<string, string>) => {
    await mkdir(join(dir, folder), { recursive: true })
    for (const [name, text] of Object.entries(sources)) await writeFile(join(dir, folder, name), text)
    return codeIdentity(pathToFileURL(join(dir, folder, 'main.ts')).href)
  }
  const main = "import { x } from './x.ts'\nimport type { T } from './types.ts'\n"
  const first = await write('one', { 'main.ts': main, 'x.ts': 'a', 'types.ts': 't' })
  expect(await write('two', { 'main.ts': main, 'x.ts': 'a', 'types.ts': 'other', 'y.ts': 'y' })).toBe(first)
  expect(await write('three', { 'main.ts': main, 'x.ts': 'b', 'types.ts': 't' })).not.toBe(first)

  const later = "export const load = () => import('./x.ts')\n"
  const second = await write('four', { 'main.ts': later, 'x.ts': 'a' })
  expect(await write('five', { 'main.ts': later, 'x.ts': 'b' })).not.toBe(second)
})
