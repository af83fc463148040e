import { type FileHandle, mkdir, open, rm, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { downloadLimits } from '../upgrade/download-limits.ts'

const chunkBytes = 1 << 20

/**
 * Copies a file from a stick to the disk: what is judged and installed can't change any more, and the stick may go. Fails
 * with an Error for people and leaves nothing then, least of all a full disk.
 */
export async function copyFromStick(
  from: string,
  to: string,
  { reserveBytes = downloadLimits.reserveBytes }: { readonly reserveBytes?: number } = {},
): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  try {
    await using files = new AsyncDisposableStack()
    const opened = async (path: string, flags: string) => {
      const handle = await open(path, flags, 0o600)
      files.defer(() => handle.close())
      return handle
    }
    const source = await opened(from, 'r')
    const { size } = await source.stat()
    if (size > downloadLimits.sizeBytesMax) throw new Error(`it has ${size} bytes, which no update has`)
    await requireFree(dirname(to), size + reserveBytes)
    await copyBytes(source, await opened(to, 'w'), size)
  } catch (error) {
    await rm(to, { force: true })
    const { code, message } = error as NodeJS.ErrnoException
    throw code === 'EIO' || code === 'ENODEV' || code === 'ENXIO'
      ? new Error(`the stick can't be read any more (${code}): was it pulled out?`, { cause: error })
      : new Error(message, { cause: error })
  }
}

async function copyBytes(source: FileHandle, target: FileHandle, size: number): Promise<void> {
  const chunk = Buffer.allocUnsafeSlow(chunkBytes)
  let unsyncedBytes = 0
  for (let at = 0; at < size; ) {
    const { bytesRead } = await source.read(chunk, 0, Math.min(chunkBytes, size - at), at)
    if (bytesRead === 0) throw new Error(`it ends after ${at} of ${size} bytes`)
    for (let done = 0; done < bytesRead; ) {
      done += (await target.write(chunk, done, bytesRead - done, at + done)).bytesWritten
    }
    at += bytesRead
    unsyncedBytes += bytesRead
    // A whole bundle in the page cache would push out everything else.
    if (unsyncedBytes < downloadLimits.syncEveryBytes) continue
    await target.datasync()
    unsyncedBytes = 0
  }
  await target.sync()
}

async function requireFree(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= neededBytes) return
  const mebibytes = (bytes: number) => `${Math.floor(bytes / (1 << 20))} MiB`
  throw new Error(
    `not enough space in ${folder}: ${mebibytes(bavail * bsize)} are free, ${mebibytes(neededBytes)} are needed`,
  )
}
