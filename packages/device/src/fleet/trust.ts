import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface TrustPaths {
  readonly userAuthority: string
  readonly deviceId: string
}

/**
 * Whose certificates sshd takes from now on, and by which id; undefined: nobody's. In memory only: it goes with the
 * service.
 */
export async function writeTrust(
  paths: TrustPaths,
  trust: { readonly userAuthority: string; readonly id: string } | undefined,
): Promise<void> {
  if (trust === undefined) {
    // The authority goes first: without it the other file means nothing.
    await rm(paths.userAuthority, { force: true })
    await rm(paths.deviceId, { force: true })
    return
  }
  await replace(paths.deviceId, `${trust.id}\n`)
  await replace(paths.userAuthority, `${trust.userAuthority}\n`)
}

export async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new`, text, { mode: 0o644 })
  await rename(`${path}.new`, path)
}
