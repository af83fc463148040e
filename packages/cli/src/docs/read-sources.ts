import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '@atomixos/image/errors.ts'
import { readLock } from '@atomixos/image/lock/read-lock.ts'
import type { Workspace } from '@atomixos/image/workspace.ts'
import { gateway } from '@atomixos/system'
import type { Command } from 'commander'
import { build } from 'esbuild'
import { generatedPages } from './generated.ts'
import { sections } from './sections.ts'
import type { SiteSources } from './site.ts'

/** Everything that the site is made of: the pages of this repository, and what its code says. */
export async function readSources(
  { rootDir, lockPath }: Workspace,
  options: { readonly program: Command; readonly signal?: AbortSignal },
): Promise<SiteSources> {
  const written = sections
    .flatMap(({ pages }) => pages)
    .filter((path) => !path.startsWith('docs/'))
    .concat((await namesIn(join(rootDir, 'docs'), '.md')).map((name) => `docs/${name}`))
  const [texts, deviceHelp, lock, assets, version] = await Promise.all([
    Promise.all(written.map(async (path) => [path, await readFile(join(rootDir, path), 'utf8')] as const)),
    readDeviceHelp(rootDir, options.signal),
    readLock(lockPath),
    readAssets(rootDir),
    readVersion(rootDir),
  ])
  const generated = generatedPages({ program: options.program, deviceHelp, rootfs: gateway, lock })
  return {
    sections,
    texts: new Map([...texts, ...generated]),
    generated: new Set(generated.keys()),
    assets,
    isFile: (path) => statSync(join(rootDir, path), { throwIfNoEntry: false })?.isFile() === true,
    version,
  }
}

async function namesIn(folder: string, ending: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(ending)).sort()
}

/** The device's program is asked as a person would ask it; nothing here may import it. */
async function readDeviceHelp(rootDir: string, signal: AbortSignal | undefined): Promise<string> {
  const entry = join(rootDir, 'packages/device/src/main.ts')
  const { stdout } = await promisify(execFile)(process.execPath, [entry, 'help'], {
    timeout: 60_000,
    ...(signal && { signal }),
  }).catch((cause: Error) => {
    signal?.throwIfAborted()
    throw new UserError(`the device's program does not tell its help:\n${cause.message}`, {
      hint: 'correct packages/device, then build again',
      cause,
    })
  })
  return stdout
}

/** The search runs in the browser, bundled with its library: nothing is fetched from anywhere. */
async function readAssets(rootDir: string): Promise<ReadonlyMap<string, string>> {
  const folder = join(rootDir, 'packages/cli/src/docs/browser')
  const bundled = await build({
    entryPoints: [join(folder, 'site.js')],
    absWorkingDir: rootDir,
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2020',
    charset: 'utf8',
    minify: true,
    banner: { js: '/* With MiniSearch by Luca Ongaro, under the MIT licence. */' },
    write: false,
    logLevel: 'silent',
  }).catch((cause: Error) => {
    throw new UserError(`the site's program can't be bundled:\n${cause.message}`, {
      hint: 'correct packages/cli/src/docs/browser/site.js, then build again',
      cause,
    })
  })
  return new Map([
    ['site.css', await readFile(join(folder, 'site.css'), 'utf8')],
    ['site.js', bundled.outputFiles[0]!.text],
  ])
}

async function readVersion(rootDir: string): Promise<string> {
  return (JSON.parse(await readFile(join(rootDir, 'package.json'), 'utf8')) as { version: string }).version
}
