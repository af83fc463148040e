import { lstat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { channelLimits, channelPath } from '@atomixos/config'

/** Whatever a stick holds, no more of it is looked at. */
export const stickLimits = { entriesMax: 2000, bundlesMax: 16 } as const

/** Where on a stick is looked: in its root, and in a folder of our name. */
const folders = ['.', 'atomixos'] as const

export interface StickUpdates {
  /** Bundles, as paths below the root; whose and what they are has not been looked at. */
  readonly bundles: readonly string[]
  /** The folder of a feed with our channel, and the channel's file below it. */
  readonly feed: { readonly folder: string; readonly channelFile: string } | undefined
}

/** What on a stick may be an update for this board; fails with what the file system says when the root can't be read. */
export async function findUpdates(
  root: string,
  { board, channel }: { readonly board: string; readonly channel: string },
): Promise<StickUpdates> {
  const bundles: string[] = []
  let feed: StickUpdates['feed']
  for (const folder of folders) {
    if (folder !== '.' && !(await isFolder(join(root, folder)))) continue
    for (const name of await bundleNames(join(root, folder))) bundles.push(join(folder, name))
    const channelFile = channelPath(board, channel)
    const path = join(root, folder, channelFile)
    if (feed === undefined && (await isFile(path, channelLimits.fileBytesMax))) feed = { folder, channelFile }
  }
  return { bundles: bundles.slice(0, stickLimits.bundlesMax), feed }
}

/** In order of name. A folder without an end, as a damaged file system may have one, ends here. */
async function bundleNames(folder: string): Promise<string[]> {
  const names: string[] = []
  let seen = 0
  for await (const { name } of await opendir(folder)) {
    seen += 1
    if (seen > stickLimits.entriesMax) break
    // Names with a point in front are what some systems put beside each file.
    if (/^[^.].*\.raucb$/i.test(name) && (await isFile(join(folder, name), channelLimits.bundleBytesMax))) {
      names.push(name)
    }
  }
  return names.sort().slice(0, stickLimits.bundlesMax)
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined))?.isDirectory() ?? false
}

async function isFile(path: string, bytesMax: number): Promise<boolean> {
  const status = await lstat(path).catch(() => undefined)
  return status?.isFile() === true && status.size > 0 && status.size <= bytesMax
}
