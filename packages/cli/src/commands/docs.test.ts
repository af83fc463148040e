import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, watch } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const rootDir = join(import.meta.dirname, '../../../..')

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'docs-command-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function start(...args: string[]) {
  const child = spawn(process.execPath, [join(rootDir, 'packages/cli/src/main.ts'), 'docs', ...args])
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (bytes) => (output.stdout += bytes))
  child.stderr.on('data', (bytes) => (output.stderr += bytes))
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve))
  return { child, output, exit }
}

async function contentsOf(siteDir: string): Promise<Map<string, string>> {
  const entries = await readdir(siteDir, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return new Map(
    await Promise.all(
      paths.sort().map(async (path) => [relative(siteDir, path), await readFile(path, 'base64')] as const),
    ),
  )
}

describe('docs build', () => {
  let wholeDir: string
  let buildMs: number
  beforeAll(async () => {
    wholeDir = join(dir, 'whole')
    const startedMs = performance.now()
    const { output, exit } = start('build', '--out', wholeDir)
    expect(await exit, output.stderr).toBe(0)
    buildMs = performance.now() - startedMs
  })

  test('writes a site that others can read, and again over itself', async () => {
    const outDir = join(dir, 'deep/site')
    for (const _ of [1, 2]) {
      const { output, exit } = start('build', '--out', outDir, '--json')
      expect(await exit, output.stderr).toBe(0)
      expect(JSON.parse(output.stdout)).toMatchObject({ dir: outDir, pages: expect.any(Number) })
      expect(output.stderr).toMatch(/^✓ documentation: \d+ pages in \S+ \(\d+\.\d s\)\n$/)
    }
    expect(await readdir(join(dir, 'deep'))).toEqual(['site'])
    expect((await stat(outDir)).mode & 0o777).toBe(0o755)
    expect(await readFile(join(outDir, 'quick-start.html'), 'utf8')).toContain(
      '<h1 id="quick-start-without-hardware">',
    )
    expect(await readFile(join(outDir, 'files/docs/config.schema.json'), 'utf8')).toBe(
      await readFile(join(rootDir, 'docs/config.schema.json'), 'utf8'),
    )
  })

  test('leaves a folder alone that holds something else', async () => {
    const outDir = join(dir, 'photos')
    await mkdir(outDir)
    await writeFile(join(outDir, 'cat.jpg'), 'meow')
    const { output, exit } = start('build', '--out', outDir)
    expect(await exit).toBe(2)
    expect(output.stderr).toContain(
      `atomixos: ${outDir} holds something else than a documentation site; nothing was changed\n` +
        '  name a new or empty folder with --out\n',
    )
    expect(await readdir(outDir)).toEqual(['cat.jpg'])
  })

  test.each([0.2, 0.6, 0.8, 0.9, 0.95, 1])(
    'interrupted after %f of its time it leaves a whole site or nothing',
    async (share) => {
      const place = join(dir, `interrupted-${share}`)
      await mkdir(place)
      const { child, exit } = start('build', '--out', join(place, 'site'))
      setTimeout(() => child.kill('SIGINT'), share * buildMs)
      // null: it had not come as far as to listen to signals.
      const code = await exit
      expect([0, 130, null]).toContain(code)
      const names = await readdir(place)
      // A signal that comes when the site is in its place already can still decide how the program ends.
      if (code !== 0 && names.length === 0) return
      expect(names).toEqual(['site'])
      expect(await contentsOf(join(place, 'site'))).toEqual(await contentsOf(wholeDir))
    },
  )

  test.each([0, 2, 5, 10, 20])(
    'killed %i ms after it began to write it leaves no half site',
    async (delayMs) => {
      const place = join(dir, `killed-${delayMs}`)
      await mkdir(place)
      const watcher = watch(place)
      const { child, exit } = start('build', '--out', join(place, 'site'))
      await once(watcher, 'change')
      watcher.close()
      await sleep(delayMs)
      child.kill('SIGKILL')
      await exit
      if (!(await readdir(place)).includes('site')) return
      expect(await contentsOf(join(place, 'site'))).toEqual(await contentsOf(wholeDir))
    },
  )

  test('a file is no folder', async () => {
    const path = join(dir, 'file')
    await writeFile(path, '')
    const { output, exit } = start('build', '--out', path)
    expect(await exit).toBe(2)
    expect(output.stderr).toContain(`${path} is no folder that can be read: ENOTDIR`)
    expect(existsSync(path)).toBe(true)
  })
})

describe('docs serve', () => {
  test('hands out pages, pictures and nothing else on this machine, until it is told to stop', async () => {
    const { child, output, exit } = start('serve', '--port', '0')
    const address = await new Promise<string>((resolve, reject) => {
      child.once('close', () => reject(new Error(output.stderr)))
      child.stderr.on('data', () => {
        const match = /(http:\/\/127\.0\.0\.1:\d+\/) has the documentation/.exec(output.stderr)
        if (match) resolve(match[1]!)
      })
    })
    const get = (path: string) => fetch(new URL(path, address))
    expect(await (await get('')).text()).toContain('<title>AtomixOS</title>')
    expect((await get('site.js')).headers.get('content-type')).toBe('text/javascript; charset=utf-8')
    expect((await get('files/docs/images/slots.svg')).headers.get('content-type')).toBe('image/svg+xml')
    for (const path of ['none.html', 'files/package.json', '%2e%2e/package.json', '%', 'files/%2e%2e/x']) {
      expect((await get(path)).status, path).toBe(path === '%' ? 200 : 404)
    }
    child.kill('SIGINT')
    expect(await exit, output.stderr).toBe(0)
  })

  test('a port that is taken is told', async () => {
    const first = start('serve', '--port', '0')
    const port = await new Promise<string>((resolve) =>
      first.child.stderr.on('data', () => {
        const match = /127\.0\.0\.1:(\d+)/.exec(first.output.stderr)
        if (match) resolve(match[1]!)
      }),
    )
    const { output, exit } = start('serve', '--port', port)
    expect(await exit).toBe(1)
    expect(output.stderr).toContain(
      `port ${port} can't be listened at: EADDRINUSE\n  choose another with --port`,
    )
    first.child.kill('SIGINT')
    await first.exit
  })
})
