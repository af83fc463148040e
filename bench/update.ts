import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createContext } from '@atomixos/cli/context.ts'
import { openDevelopmentKeys } from '@atomixos/cli/signing.ts'
import { inspectBundle } from '@atomixos/image/bundle/inspect.ts'
import { readBundle } from '@atomixos/image/bundle/read.ts'
import { writeDelta } from '@atomixos/image/delta/make-delta.ts'
import { readPlainBundle } from '@atomixos/image/delta/plain-bundle.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { writeChannelFile } from '@atomixos/image/feed/channel-file.ts'
import { openInputs } from '@atomixos/image/inputs.ts'
import type { Lock } from '@atomixos/image/lock/lock.ts'
import { readLock } from '@atomixos/image/lock/read-lock.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { fileSha256 } from '@atomixos/image/tree/file-node.ts'
import { leanMemory } from '@atomixos/system/modules/runtime.ts'
import { adaptiveBytes } from './adaptive.ts'
import { type Measured, measure } from './measure.ts'
import { type BuiltRelease, buildRelease, isKernel, mixedLock, newestLock } from './releases.ts'
import { runBench } from './run-bench.ts'
import { installReport, openUpdateDevice, type RebuildFigures, type UpdateDevice } from './update-device.ts'

/**
 * What updates cost: real builds that follow each other, and for each the bytes that a device fetches and what it takes to
 * make the bundle of them. Prints what it finds, judges nothing.
 */
const help = `Usage: ./atomixos bench update [--newest FILE] [--only WHAT] [--device [--runs N]] [--json]

Builds the product from the lock file, then with one line changed, with one library, OpenSSL, the kernel, everything but
the kernel, and everything as the mirror has them now, and makes the delta to each. Needs the mirror for the newer packages.

  --newest FILE   a lock file to take the newer packages from, instead of asking the mirror
  --only WHAT     changes of these names only, such as "line,library"; several with commas
  --device        also on the built image in QEMU: each bundle made of its delta, and an install of a bundle against dd
                  of the same images. "--only install" leaves the deltas out
  --runs N        with --device: installs (default 3)
  --json          the figures as JSON
`

interface Change {
  readonly name: string
  readonly what: string
  readonly lock: Lock
  readonly changedLine?: boolean
}

interface Row extends Measured {
  readonly name: string
  readonly what: string
  readonly bundleBytes: number
  readonly deltaBytes: number
  readonly adaptiveBytes: number
  readonly makeSeconds: number
  readonly peakBytes: number
  readonly device: RebuildFigures | undefined
  /** Writing as many bytes as the bundle has, to the same disk. */
  readonly writeSeconds: number
}

const smallLibrary = 'libnghttp2-14'
const isOpenssl = (name: string) => name === 'libssl3t64' || name === 'openssl'

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      newest: { type: 'string' },
      only: { type: 'string' },
      device: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const only = values.only?.split(',')
  const wanted = (name: string) => only === undefined || only.includes(name)
  const context = createContext()
  const { before, newest } =
    values.newest === undefined
      ? await newestLock(context)
      : { before: await readLock(context.workspace.lockPath), newest: await readLock(values.newest) }
  const changes = changesOf(before, newest).filter(({ name }) => wanted(name))
  const installs = values.device && wanted('install') ? Number(values.runs) : 0
  if (changes.length === 0 && installs === 0) {
    const names = [...changesOf(before, newest).map(({ name }) => name), 'install (with --device)']
    throw new UserError('there is nothing to measure', {
      hint: `--only takes ${names.join(', ')}`,
      exitCode: 2,
    })
  }
  const workDir = await mkdtemp(join(context.workspace.cacheDir, 'bench-'))
  try {
    await using device = values.device ? await openUpdateDevice() : undefined
    const install = device && installs > 0 ? await device.measureInstall(installs) : undefined
    const tools = await (await openInputs({ ...context, lock: before })).toolTree('tools')
    const base = await buildRelease(context, { version: '1.0.0', lock: before }, workDir)
    const rows: Row[] = []
    for (const change of changes) {
      context.signal.throwIfAborted()
      say(change.what)
      const built = await buildRelease(context, { ...change, version: '1.0.1' }, workDir)
      rows.push(await measureChange(change, { base, built, tools, workDir, device }))
    }
    const { signer } = await openDevelopmentKeys(context, tools)
    const channelPath = join(workDir, 'channel')
    const lookBytes = await channelBytes(tools, { signer, outPath: channelPath })
    context.reporter.close()
    if (values.json) process.stdout.write(`${JSON.stringify({ lookBytes, rows, install }, undefined, 2)}\n`)
    else {
      if (rows.length > 0) process.stdout.write(report(lookBytes, rows))
      if (install) process.stdout.write(`\n${installReport(install)}`)
    }
  } finally {
    await rm(workDir, { recursive: true, force: true })
  }
}

function changesOf(before: Lock, newest: Lock): Change[] {
  const versions = (lock: Lock) =>
    new Map(lock.targets.rootfs!.packages.map(({ name, version }) => [name, version]))
  const [old, now] = [versions(before), versions(newest)]
  const isNew = (which: (name: string) => boolean) =>
    [...now].some(([name, version]) => which(name) && old.get(name) !== version)
  const updates: (Omit<Change, 'lock'> & { which: (name: string) => boolean })[] = [
    {
      name: 'library',
      what: `(c) one small library: ${smallLibrary}`,
      which: (name) => name === smallLibrary,
    },
    { name: 'openssl', what: '(c) OpenSSL, which is in the initrd, too', which: isOpenssl },
    { name: 'kernel', what: '(d) a new kernel', which: isKernel },
    { name: 'packages', what: '(e) all updates but the kernel', which: (name) => !isKernel(name) },
    { name: 'everything', what: '(e) all updates, the kernel as well', which: () => true },
  ]
  return [
    { name: 'line', what: '(b) one line of ours', lock: before, changedLine: true },
    ...updates
      .filter(({ which }) => isNew(which))
      .map(({ which, ...change }) => ({ ...change, lock: mixedLock(before, newest, which) })),
  ]
}

async function measureChange(
  change: Change,
  given: {
    base: BuiltRelease
    built: BuiltRelease
    tools: ToolTree
    workDir: string
    device: UpdateDevice | undefined
  },
): Promise<Row> {
  const { base, built, tools, workDir, device } = given
  const deltaPath = join(workDir, `${change.name}.delta`)
  const { manifest } = await inspectBundle(tools, await readBundle(built.bundlePath))
  const start = performance.now()
  const from = await readPlainBundle(base.bundlePath)
  const to = await readPlainBundle(built.bundlePath)
  await writeDelta({ from, to, verity: manifest.verity }, deltaPath)
  const makeSeconds = (performance.now() - start) / 1000
  const bundle = {
    sizeBytes: (await stat(built.bundlePath)).size,
    sha256: await fileSha256(built.bundlePath),
  }
  const outPath = join(workDir, 'rebuilt')
  const resultPath = join(workDir, 'rebuilt.json')
  const program = join(import.meta.dirname, 'rebuild-once.ts')
  const measured = await measure(
    [
      ...[process.execPath, program, deltaPath, base.bootSlotPath, base.rootfsPath, outPath],
      ...[String(bundle.sizeBytes), bundle.sha256, resultPath],
    ],
    leanMemory,
  )
  const { peakBytes } = JSON.parse(await readFile(resultPath, 'utf8')) as RebuildFigures
  const row: Row = {
    ...{ name: change.name, what: change.what, ...measured, peakBytes, makeSeconds },
    bundleBytes: bundle.sizeBytes,
    deltaBytes: (await stat(deltaPath)).size,
    adaptiveBytes: await adaptiveBytes(base, built),
    writeSeconds: await secondsToWrite(join(workDir, 'written'), bundle.sizeBytes),
    device: await device?.measureRebuild({ base, deltaPath, bundle }),
  }
  await rm(outPath)
  return row
}

/** As `dd bs=1M conv=fsync` does: bytes that nothing can shorten. */
async function secondsToWrite(path: string, sizeBytes: number): Promise<number> {
  const chunk = randomBytes(1 << 20)
  const file = await open(path, 'w')
  const start = performance.now()
  try {
    for (let left = sizeBytes; left > 0; left -= chunk.byteLength) {
      await file.write(chunk, 0, Math.min(left, chunk.byteLength))
    }
    await file.sync()
    return (performance.now() - start) / 1000
  } finally {
    await file.close()
    await rm(path)
  }
}

/** A look that finds nothing new fetches the channel file: one with a few deltas and steps. */
async function channelBytes(
  tools: ToolTree,
  options: Pick<Parameters<typeof writeChannelFile>[1], 'signer' | 'outPath'>,
): Promise<number> {
  const nowMs = Math.floor(Date.now() / 1000) * 1000
  const file = (path: string) => ({
    path: `bundles/rock64/atomixos-rock64-${path}-e46a237d3926.raucb`,
    sizeBytes: 113_000_000,
    sha256: createHash('sha256').update(path).digest('hex'),
  })
  await writeChannelFile(tools, {
    ...options,
    channel: {
      ...{
        board: 'rock64',
        channel: 'stable',
        sequence: 7,
        publishedMs: nowMs,
        expiresMs: nowMs + 86_400_000,
      },
      release: {
        version: '1.5.0',
        bundle: file('1.5.0'),
        deltas: ['1.4.2', '1.4.1', '1.4.0'].map((from) => ({ from, ...file(from) })),
        floor: undefined,
      },
      ...{ stones: [], windows: [], canaries: ['lab'], halt: undefined },
      steps: [1, 10, 100].map((percent, i) => ({ atMs: nowMs + i * 86_400_000, percent })),
    },
  })
  return (await stat(options.outPath)).size
}

function report(lookBytes: number, rows: readonly Row[]): string {
  const percent = (bytes: number, row: Row) => `${((bytes * 100) / row.bundleBytes).toFixed(2)} %`
  const bundleBytes = rows[0]!.bundleBytes
  const lines = [
    `full bundle: ${(bundleBytes / 1e6).toFixed(1)} MB: 100 %, and what RAUC fetches when it streams`,
    `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}, load when it ended ${loadavg()[0]!.toFixed(1)}`,
    '',
    'delta MB     share  adaptive    wall s   CPU s  x write  peak MiB   made in s  device s  device MiB',
    ...rows.map((row) =>
      [
        (row.deltaBytes / 1e6).toFixed(2).padStart(8),
        percent(row.deltaBytes, row).padStart(10),
        percent(row.adaptiveBytes, row).padStart(10),
        row.wallSeconds.toFixed(1).padStart(10),
        row.cpuSeconds.toFixed(1).padStart(8),
        (row.wallSeconds / row.writeSeconds).toFixed(1).padStart(9),
        (row.peakBytes / (1 << 20)).toFixed(0).padStart(10),
        row.makeSeconds.toFixed(0).padStart(12),
        (row.device?.wallSeconds.toFixed(1) ?? '-').padStart(10),
        (row.device ? (row.device.peakBytes / (1 << 20)).toFixed(0) : '-').padStart(12),
        `  ${row.what}`,
      ].join(''),
    ),
    '',
    `(a) nothing new: ${(lookBytes / 1000).toFixed(1)} kB, the channel file, ${percent(lookBytes, rows[0]!)}; headers only (304) while it has not changed`,
    '',
    'adaptive: computed, not streamed: all blocks of 64 KiB of the bundle that hold a block of 4 KiB which the old image',
    'of the same kind has not, and the index of hashes',
    'wall, CPU: from the delta to the bundle with its hash compared, in a program of its own, on THIS machine, not on a',
    'device; a Cortex-A53 takes several times as long. RAUC installs the bundle then as it installs a full one',
    'x write: wall over writing as many bytes to the same disk and syncing them, as dd conv=fsync does',
    'peak: the most memory that this program had, all of Node included',
    'device: the same on the built image in QEMU, with --device, by emulation: several times the seconds of a board',
  ]
  return `${lines.join('\n')}\n`
}

function say(message: string): void {
  process.stderr.write(`${message}\n`)
}

await runBench(main)
