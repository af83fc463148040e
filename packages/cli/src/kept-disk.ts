import { open, rename, stat } from 'node:fs/promises'
import { copySparse, type Programs } from '@atomixos/machine'

/** The disk that an earlier run left, or a new one: a copy of an image, or zeros. Gives the path. */
export async function prepareKeptDisk(
  path: string,
  from: { readonly image?: string; readonly sizeBytes: number },
  programs: Programs,
): Promise<string> {
  if (await stat(path).catch(() => undefined)) return path
  if (from.image !== undefined) {
    await copySparse(programs, from.image, path, from.sizeBytes)
    return path
  }
  // Under another name until it is whole: an interrupted start must not pass for a disk next time.
  const unfinished = `${path}.part`
  const file = await open(unfinished, 'w')
  await file.truncate(from.sizeBytes)
  await file.close()
  await rename(unfinished, path)
  return path
}
