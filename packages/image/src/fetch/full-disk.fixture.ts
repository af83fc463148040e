/** Run by full-disk.test.ts on a disk that is too small: `full-disk.fixture.ts DIR MIRROR DEB XZ...`. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PackageStore } from '../archive/package-store.ts'
import { silentReporter as reporter } from '../reporter.ts'
import { Fetcher } from './fetcher.ts'

const [cacheDir, debian, deb, ...xz] = process.argv.slice(2) as [string, string, string, ...string[]]
const signal = new AbortController().signal
const mirrors = () => ({ debian, 'debian-security': debian, snapshot: undefined })
const bytes = readFileSync(deb)
const sha256 = createHash('sha256').update(bytes).digest('hex')
const file = { archive: 'debian', path: 'pool/big', sizeBytes: 1 << 20, sha256: 'a'.repeat(64) } as const
const locked = {
  ...file,
  ...{ name: 'sample', version: '1', architecture: 'all', source: 'sample', sourceVersion: '1' },
  ...{ sizeBytes: bytes.length, sha256 },
}

async function failure(work: Promise<unknown>) {
  const error = await work.then(
    () => new Error('nothing failed'),
    (caught: Error) => caught,
  )
  return { message: error.message, hint: (error as { hint?: string }).hint }
}

const fetcher = new Fetcher({ cacheDir, mirrors, epochSeconds: 0, reporter, signal })
const results: unknown[] = [
  await failure(fetcher.fetch([{ file, wantedBy: 'rootfs' }])),
  readdirSync(join(cacheDir, 'downloads')).filter((name) => !name.endsWith('.part')),
]
for (const kind of ['wasm', 'program'] as const) {
  const decoder = kind === 'wasm' ? { kind } : { kind, argv: xz }
  const store = new PackageStore({ cacheDir, debPath: () => deb, xz: async () => decoder, reporter, signal })
  results.push(await failure(store.packageTree(locked)), readdirSync(join(cacheDir, 'packages')))
}
console.log(JSON.stringify(results))
