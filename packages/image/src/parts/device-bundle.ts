import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type BuildOptions, build, version as esbuildVersion, type Plugin } from 'esbuild'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'

/** Node that the device runs: what the bundler may leave as it is. */
const target = 'node26'

/** The file that is started, in the folder that `bundleDevice` gives. */
export const deviceBundleName = 'device.js'

/**
 * The device's programs without dependencies: one small file that is started, and one for each module that it imports
 * dynamically, with all that this one needs: a command reads and runs its own code only. CommonJS, since a start-up
 * snapshot can be made of nothing else. Gives the folder and the files in it, by relative path.
 */
export async function bundleDevice(
  options: { entryPath: string; rootDir: string },
  { steps }: { steps: StepRunner },
): Promise<{ readonly dir: string; readonly files: readonly string[] }> {
  const result = await steps.run({
    name: 'device-bundle',
    code: codeIdentity(import.meta.url),
    inputs: {
      // npm packages that are bundled are pinned by the lock file.
      source: codeIdentity(pathToFileURL(options.entryPath).href),
      npm: createHash('sha256')
        .update(await readFile(join(options.rootDir, 'package-lock.json')))
        .digest('hex'),
      esbuild: esbuildVersion,
      target,
    },
    async run({ outDir }) {
      const settings: BuildOptions = {
        absWorkingDir: options.rootDir,
        bundle: true,
        platform: 'node',
        format: 'cjs',
        target,
        charset: 'utf8',
        legalComments: 'inline',
        // Names in stack traces are worth more than the few kilobytes.
        minifySyntax: true,
        minifyWhitespace: true,
        write: false,
        logLevel: 'silent',
        outdir: outDir,
        // What is not bundled is required: Node's loader of modules is not started for it.
        supported: { 'dynamic-import': false },
      }
      const { commands, plugin } = commandsApart()
      const bundle = (more: BuildOptions) =>
        build({ ...settings, ...more }).catch((error: Error) => {
          throw new UserError(`the device's programs can't be bundled:\n${error.message}`, {
            hint: 'correct packages/device, then build again',
            cause: error,
          })
        })
      const main = await bundle({
        entryPoints: { [basename(deviceBundleName, '.js')]: options.entryPath },
        plugins: [plugin],
      })
      const apart = await bundle({ entryPoints: Object.fromEntries(commands) })
      for (const { path, contents } of [...main.outputFiles!, ...apart.outputFiles!]) {
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, contents)
        await chmod(path, 0o644)
      }
    },
  })
  const entries = await readdir(result.dir, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => relative(result.dir, join(entry.parentPath, entry.name)))
    .sort()
  return { dir: result.dir, files }
}

/** Leaves out what is imported dynamically, and notes it: the path of its own bundle, without suffix, and its source. */
function commandsApart(): { readonly commands: ReadonlyMap<string, string>; readonly plugin: Plugin } {
  const commands = new Map<string, string>()
  const plugin: Plugin = {
    name: 'commands-apart',
    setup({ onResolve }) {
      onResolve({ filter: /^\.\// }, ({ kind, path, resolveDir }) => {
        if (kind !== 'dynamic-import') return undefined
        const name = path.slice('./'.length).replace(/\.ts$/, '')
        commands.set(name, resolve(resolveDir, path))
        return { path: `./${name}.js`, external: true }
      })
    },
  }
  return { commands, plugin }
}
