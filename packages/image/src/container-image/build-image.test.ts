import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Inputs, UnpackedPackage } from '../inputs.ts'
import { silentReporter } from '../reporter.ts'
import { StepRunner } from '../step/step.ts'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'
import { writeTree } from '../tools/write-tree.ts'
import { buildContainerImage, imageTree } from './build-image.ts'
import { type ContainerImageName, containerImages } from './images.ts'

/** What a bundle may have for a member. */
const memberBytesMax = 64 << 20

const names = Object.keys(containerImages) as ContainerImageName[]

describe.each(names)('the image %s', (name) => {
  const image = containerImages[name]
  let inputs: Inputs
  let tools: ToolTree
  let packages: readonly UnpackedPackage[]
  let scratch: Awaited<ReturnType<typeof scratchDir>>
  let archivePath: string
  beforeAll(async () => {
    inputs = await openTestInputs()
    tools = await inputs.toolTree('tools')
    packages = await inputs.packageTrees('apps')
    scratch = await scratchDir()
    archivePath = await build('first')
  })
  afterAll(() => scratch[Symbol.asyncDispose]())

  const build = (cache: string) => {
    const signal = new AbortController().signal
    const steps = new StepRunner({ cacheDir: join(scratch.path, cache), reporter: silentReporter, signal })
    const { sourceDateEpoch } = inputs.lock
    return buildContainerImage({ image, packages, sourceDateEpoch }, { steps })
  }

  const run = (argv: readonly [string, ...string[]], mounted: string) =>
    tools.run({
      argv,
      purpose: 'the test',
      mounts: [{ hostPath: mounted, guestPath: '/in', writable: true }],
      cwd: '/in',
      env: { LC_ALL: 'C', TZ: 'UTC' },
      timeoutMs: 60_000,
    })

  test('tar unpacks the archive; names and digests are those of what is in it', async () => {
    const archive = await readFile(archivePath)
    expect(archive.length).toBeLessThan(memberBytesMax)
    const dir = join(scratch.path, 'archive')
    await mkdir(dir)
    await tools.run({
      argv: ['/usr/bin/tar', '-xf', `/from/${basename(archivePath)}`],
      purpose: 'the test',
      mounts: [
        { hostPath: dirname(archivePath), guestPath: '/from', writable: false },
        { hostPath: dir, guestPath: '/in', writable: true },
      ],
      cwd: '/in',
      timeoutMs: 60_000,
    })
    const [manifest, ...others] = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'))
    expect(others).toEqual([])
    expect(manifest.RepoTags).toEqual([image.reference])
    expect((await readdir(dir)).sort()).toEqual([manifest.Config, ...manifest.Layers, 'manifest.json'].sort())
    const [config, layer] = await Promise.all(
      [manifest.Config, manifest.Layers[0]].map((member) => readFile(join(dir, member))),
    )
    expect(manifest.Config).toBe(`${sha256(config!)}.json`)
    expect(manifest.Layers).toEqual([`${sha256(layer!)}.tar`])
    expect(JSON.parse(config!.toString())).toMatchObject({
      architecture: 'arm64',
      os: 'linux',
      config: { User: '1000:1000', Cmd: image.command },
      // Of the layer without its compression: podman refuses the archive otherwise.
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(zstdDecompressSync(layer!))}`] },
    })
    const { stdout } = await run(['/usr/bin/tar', '--zstd', '-tvf', `/in/${manifest.Layers[0]}`], dir)
    expect(stdout).toMatch(/^drwxrwxrwt root\/root|^drwxrwxrwt 0\/0/m)
    expect(stdout).toMatch(/^drwx------ 1000\/1000 .* home\/app\/$/m)
  })

  test('every program finds its loader and its libraries', async () => {
    const tree = imageTree(image, packages)
    const present = new Set([...tree.keys()].map((path) => basename(path)))
    const dir = join(scratch.path, 'programs')
    await mkdir(dir)
    await writeTree(tree, dir, new AbortController().signal)
    const programs = image.files.filter((path) => /\/bin\/|\.so/.test(path))
    expect(programs.length).toBeGreaterThan(0)
    const { stdout } = await run(
      ['/usr/bin/aarch64-linux-gnu-readelf', '-ld', ...programs.map((path) => `/in${path}`)],
      dir,
    )
    const needed = [
      ...stdout.matchAll(/\(NEEDED\).*\[(.*)\]/g),
      ...stdout.matchAll(/interpreter: \/lib\/(.*)\]/g),
    ].map(([, library]) => library!)
    expect(needed.filter((library) => !present.has(library))).toEqual([])
    if (name === 'caddy') expect(needed).toContain('libzstd.so.1')
  })

  test('the program that it starts is there', () => {
    expect(imageTree(image, packages).get(image.command[0])).toBeDefined()
  })

  test('made again, the same bytes', async () => {
    const again = await readFile(await build('second'))
    expect(again.equals(await readFile(archivePath))).toBe(true)
  })
})

test('a file that no package has', () => {
  expect(() => imageTree({ reference: 'localhost/x:1', files: ['/usr/bin/x'], command: [] }, [])).toThrow(
    'the image localhost/x:1 takes /usr/bin/x, which no package of its target has',
  )
})

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
