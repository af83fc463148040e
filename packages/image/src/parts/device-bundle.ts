import { createHash } from 'node:crypto'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, version as esbuildVersion } from 'esbuild'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'

/** Node that the device runs: what the bundler may leave as it is. */
const target = 'node26'

/**
 * The device's programs as one file without dependencies. CommonJS, since a start-up snapshot can be made of
 * nothing else. Gives the path of the bundle.
 */
export async function bundleDevice(
  options: { entryPath: string; rootDir: string },
  { steps }: { steps: StepRunner },
): Promise<string> {
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
      const outfile = join(outDir, 'device.js')
      const bundled = await build({
        entryPoints: [options.entryPath],
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
      }).catch((error: Error) => {
        throw new UserError(`the device's programs can't be bundled:\n${error.message}`, {
          hint: 'correct packages/device, then build again',
          cause: error,
        })
      })
      await writeFile(outfile, bundled.outputFiles[0]!.contents)
      await chmod(outfile, 0o644)
    },
  })
  return join(result.dir, 'device.js')
}
