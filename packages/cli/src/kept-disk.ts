import { constants } from 'node:fs'
import { copyFile, rename, stat, truncate, writeFile } from 'node:fs/promises'

/** The disk that an earlier run left, or a new one: a copy of an image, or zeros. Gives the path. */
export async function prepareKeptDisk(
  path: string,
  from: { readonly image?: string; readonly sizeBytes: number },
): Promise<string> {
  if (await stat(path).catch(() => undefined)) return path
  // Under another name until it is whole: an interrupted copy must not pass for a disk next time.
  const unfinished = `${path}.new`
  if (from.image) await copyFile(from.image, unfinished, constants.COPYFILE_FICLONE)
  else await writeFile(unfinished, '')
  await truncate(unfinished, from.sizeBytes)
  await rename(unfinished, path)
  return path
}
