import { constants } from 'node:fs'
import { chmod, copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface ExportedFile {
  readonly name: string
  /** A step's result. */
  readonly path: string
}

/**
 * Puts step results into a folder for people, each under its name, and removes what an earlier build left there.
 * Hard links, read-only: no second copy of a gigabyte, and nobody writes into the cache by accident. A copy where
 * links do not reach.
 */
export async function exportDist(
  files: readonly ExportedFile[],
  distDir: string,
): Promise<{ changed: boolean }> {
  await mkdir(distDir, { recursive: true })
  let changed = false
  const names = new Set(files.map(({ name }) => name))
  for (const name of await readdir(distDir)) {
    if (names.has(name)) continue
    await rm(join(distDir, name), { recursive: true })
    changed = true
  }
  for (const file of files) if (await place(file, distDir)) changed = true
  return { changed }
}

/**
 * Puts one result into the folder. What is beside it stays; a manifest and checksums that told of another one go, since
 * together they would no longer be one build.
 */
export async function exportOne(file: ExportedFile, distDir: string): Promise<{ changed: boolean }> {
  await mkdir(distDir, { recursive: true })
  const changed = await place(file, distDir)
  if (changed) {
    for (const name of ['manifest.json', 'SHA256SUMS']) await rm(join(distDir, name), { force: true })
  }
  return { changed }
}

async function place({ name, path }: ExportedFile, distDir: string): Promise<boolean> {
  const target = join(distDir, name)
  if (await sameFile(path, target)) return false
  await chmod(path, 0o444)
  const unfinished = `${target}.new`
  await rm(unfinished, { force: true })
  await link(path, unfinished).catch((error: NodeJS.ErrnoException) => {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'EOPNOTSUPP'].includes(error.code ?? '')) throw error
    return copyFile(path, unfinished, constants.COPYFILE_FICLONE)
  })
  await rename(unfinished, target)
  return true
}

async function sameFile(a: string, b: string): Promise<boolean> {
  const [left, right] = await Promise.all([stat(a), stat(b).catch(() => undefined)])
  if (right === undefined) return false
  return (
    (left.dev === right.dev && left.ino === right.ino) ||
    (left.size === right.size && left.mtimeMs === right.mtimeMs)
  )
}
