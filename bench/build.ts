import { mkdir, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '@atomixos/image/errors.ts'
import { openInputs } from '@atomixos/image/inputs.ts'
import { silentReporter } from '@atomixos/image/reporter.ts'
import type { BuiltSquashfs } from '@atomixos/image/squashfs/build-squashfs.ts'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { type Measured, measure } from './measure.ts'
import { preparePeer } from './peer.ts'
import { runBench } from './run-bench.ts'

/**
 * Our way from cached downloads to a compressed root file system against mmdebstrap with mksquashfs: the same
 * packages, the same files, the same compressor settings, one after the other in one run. Then a build after one changed
 * line, and what the product's image consists of. Prints what it finds, judges nothing.
 */
const help = `Usage: ./atomixos bench build [--level N] [--no-peer] [--json]

  --level N   zstd level of the root file system, for all (default 19, as in releases)
  --no-peer   only our own builds; the others need root
  --json      the figures as JSON
`

interface Row extends Measured {
  readonly what: string
  readonly sizeBytes: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      level: { type: 'string', default: '19' },
      'no-peer': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const level = Number(values.level)
  if (!Number.isInteger(level) || level < 1 || level > 22) {
    throw new UserError(`--level ${values.level}: zstd has the levels 1 to 22`, { exitCode: 2 })
  }
  const withPeer = !values['no-peer']
  if (withPeer && process.getuid?.() !== 0) {
    throw new UserError('mmdebstrap writes files of several owners, which takes root', {
      hint: 'run as root, or with --no-peer',
      exitCode: 2,
    })
  }

  const rootDir = join(import.meta.dirname, '..')
  const cacheDir = process.env.ATOMIXOS_CACHE_DIR ?? join(rootDir, '.atomixos')
  await mkdir(join(cacheDir, 'downloads'), { recursive: true })
  const workDir = await mkdtemp(join(cacheDir, 'bench-'))
  try {
    const rows = await measureAll({ rootDir, cacheDir, workDir, level, withPeer })
    const components = await sizeByComponent(join(workDir, 'product.json'))
    if (values.json) process.stdout.write(`${JSON.stringify({ level, rows, components }, undefined, 2)}\n`)
    else process.stdout.write(report(level, rows, components))
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

interface Setting {
  readonly rootDir: string
  readonly cacheDir: string
  readonly workDir: string
  readonly level: number
  readonly withPeer: boolean
}

async function measureAll({ rootDir, cacheDir, workDir, level, withPeer }: Setting): Promise<Row[]> {
  const freshCache = async (name: string, packagesOf?: string) => {
    const dir = join(workDir, name)
    await mkdir(dir)
    await symlink(join(cacheDir, 'downloads'), join(dir, 'downloads'))
    if (packagesOf !== undefined) await symlink(join(packagesOf, 'packages'), join(dir, 'packages'))
    return dir
  }
  say('fetching what is not in the cache')
  const inputsOf = (dir: string) =>
    openInputs({
      workspace: workspaceAt(rootDir, { cacheDir: dir }),
      reporter: silentReporter,
      signal: new AbortController().signal,
    })
  // Opened on an empty cache: what is unpacked already would not be fetched otherwise.
  const fetching = await inputsOf(await freshCache('fetch'))
  await fetching.fetchTargets('rootfs', 'tools')
  for (const { name } of fetching.lock.npm) await fetching.npmPackage(name)

  const rows: Row[] = []
  const ours = async (what: string, content: string, cache: string, notice: string, result: string) => {
    say(what)
    const resultPath = join(workDir, result)
    const argv = [process.execPath, join(import.meta.dirname, 'our-build.ts')]
    const measured = await measure([...argv, content, cache, String(level), notice, resultPath])
    const built = JSON.parse(await readFile(resultPath, 'utf8')) as BuiltSquashfs
    rows.push({ what, ...measured, sizeBytes: built.verity.dataBytes })
  }
  if (withPeer) {
    const peer = await preparePeer({ inputs: await inputsOf(cacheDir), cacheDir, workDir, level })
    say(labels.peer)
    const measured = await peer.build()
    rows.push({ what: labels.peer, ...measured, sizeBytes: (await stat(peer.imagePath)).size })
    say(labels.floor)
    rows.push({ what: labels.floor, ...(await peer.decompress()), sizeBytes: 0 })
  }
  const packages = await freshCache('packages-cache')
  await ours(labels.packages, 'packages', packages, '', 'packages.json')
  await ours(labels.unpacked, 'packages', await freshCache('unpacked-cache', packages), '', 'unpacked.json')
  const product = await freshCache('product-cache')
  await ours(labels.product, 'product', product, 'one notice', 'product.json')
  await ours(labels.changed, 'product', product, 'another notice', 'changed.json')
  await ours(labels.unchanged, 'product', product, 'another notice', 'unchanged.json')
  return rows
}

const labels = {
  peer: 'mmdebstrap + mksquashfs, all files of the packages',
  floor: 'the packages decompressed on all cores, nothing else',
  packages: 'ours, all files of the packages, from .deb files',
  unpacked: 'ours, all files of the packages, from the package store',
  product: "ours, the product's root file system, from .deb files",
  changed: 'ours, one line changed',
  unchanged: 'ours, nothing changed',
}

/** What is in the image, largest first, in bytes. */
async function sizeByComponent(resultPath: string): Promise<[string, number][]> {
  const { bytesByOrigin, verity } = JSON.parse(await readFile(resultPath, 'utf8')) as BuiltSquashfs
  const parts = Object.entries({ ...bytesByOrigin, 'dm-verity tree': verity.totalBytes - verity.dataBytes })
  return parts.sort(([, a], [, b]) => b - a)
}

function report(level: number, rows: readonly Row[], components: readonly [string, number][]): string {
  const peer = rows.find(({ what }) => what === labels.peer)
  const lines = [
    `zstd level ${level}, blocks of 1 MiB, ${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`,
    `load when it ended: ${loadavg()[0]!.toFixed(1)} (other work on the machine makes walls and CPU times longer)`,
    '',
    'wall s    CPU s   size MB   wall x   CPU x',
    ...rows.map((row) =>
      [
        row.wallSeconds.toFixed(2).padStart(6),
        row.cpuSeconds.toFixed(2).padStart(8),
        (row.sizeBytes / 1e6).toFixed(1).padStart(9),
        ratio(peer?.wallSeconds, row.wallSeconds).padStart(8),
        ratio(peer?.cpuSeconds, row.cpuSeconds).padStart(7),
        `  ${row.what}`,
      ].join(''),
    ),
    '',
    peer ? 'x: how many times less than mmdebstrap + mksquashfs took' : 'no comparison: --no-peer',
    "mkosi is not in the comparison: it runs the packages' scripts, for arm64 only under emulation",
    '',
    "the product's root file system by component, compressed, MB",
    ...components.slice(0, 20).map(([name, bytes]) => `${(bytes / 1e6).toFixed(2).padStart(8)}  ${name}`),
  ]
  const rest = components.slice(20)
  const restBytes = rest.reduce((sum, [, bytes]) => sum + bytes, 0)
  lines.push(`${(restBytes / 1e6).toFixed(2).padStart(8)}  ${rest.length} others`)
  const total = components.reduce((sum, [, bytes]) => sum + bytes, 0)
  lines.push(`${(total / 1e6).toFixed(2).padStart(8)}  in all`)
  return `${lines.join('\n')}\n`
}

function ratio(theirs: number | undefined, ours: number): string {
  return theirs === undefined ? '-' : (theirs / ours).toFixed(1)
}

function say(message: string): void {
  process.stderr.write(`${message}\n`)
}

await runBench(main)
