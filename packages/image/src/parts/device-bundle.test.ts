import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentReporter } from '../reporter.ts'
import { StepRunner } from '../step/step.ts'
import { testWorkspace } from '../tools/test-inputs.ts'
import { bundleDevice, deviceBundleName } from './device-bundle.ts'

const run = promisify(execFile)
const { rootDir } = testWorkspace()

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-device-bundle-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const bundle = (entryPath: string) => {
  const steps = new StepRunner({
    cacheDir: join(dir, 'cache'),
    reporter: silentReporter,
    signal: new AbortController().signal,
  })
  return bundleDevice({ entryPath, rootDir }, { steps })
}

/** In a folder where nothing says that its files are modules. */
const start = async (bundled: { dir: string }, ...args: string[]) =>
  run(process.execPath, [join(bundled.dir, deviceBundleName), ...args]).catch(
    (error: { code: number; stdout: string; stderr: string }) => error,
  )

test('what is imported dynamically is a file of its own, read when it is wanted and not before', async () => {
  const write = (name: string, text: string) => writeFile(join(dir, name), text)
  await write('used.ts', "export const used = 'what both need'\n")
  await write('hello.ts', "import { used } from './used.ts'\nexport const hello = () => console.log(used)\n")
  await write('broken.ts', "throw new Error('it was read')\n")
  await write(
    'main.ts',
    [
      "const commands = { hello: async () => (await import('./hello.ts')).hello,",
      "  broken: async () => (await import('./broken.ts')) }",
      'commands[process.argv[2]]().then((run) => run())',
    ].join('\n'),
  )
  const bundled = await bundle(join(dir, 'main.ts'))
  expect(bundled.files).toEqual(['broken.js', deviceBundleName, 'hello.js'])
  expect(await start(bundled, 'hello')).toMatchObject({ stdout: 'what both need\n', stderr: '' })
  expect((await start(bundled, 'broken')).stderr).toContain('it was read')
})

test("the device's own: every command starts from its file, none has all of them, and wrong use is told as such", async () => {
  const bundled = await bundle(join(rootDir, 'packages/device/src/main.ts'))
  expect(bundled.files.length).toBeGreaterThan(15)
  expect((await stat(join(bundled.dir, deviceBundleName))).size).toBeLessThan(20_000)
  const main = await readFile(join(bundled.dir, deviceBundleName), 'utf8')
  for (const file of bundled.files) {
    if (file !== deviceBundleName) expect(main).toContain(`require("./${file}")`)
  }
  // The error is of a class of the command's own bundle.
  expect(await start(bundled, 'config', 'nonsense')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('run "atomixctl help" for what there is'),
  })
  expect(await start(bundled, 'nonsense')).toMatchObject({ code: 2 })
})
