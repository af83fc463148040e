import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { channelPath, compareVersionTexts, type FeedFile, isVersionText } from '@atomixos/config'
import { UserError } from '../errors.ts'

/** The folder that a web server hands out: `channels/BOARD/NAME.channel`, `bundles/BOARD/...` and `deltas/BOARD/...`. */

export interface FoundChannel {
  readonly board: string
  readonly channel: string
  readonly path: string
}

/** In order of names. Throws UserError when the folder can't be read. */
export async function listChannels(feedDir: string): Promise<FoundChannel[]> {
  await requireFolder(feedDir)
  const found: FoundChannel[] = []
  for (const board of await names(join(feedDir, 'channels'))) {
    for (const file of await names(join(feedDir, 'channels', board))) {
      const channel = /^(.+)\.channel$/.exec(file)?.[1]
      if (channel !== undefined)
        found.push({ board, channel, path: join(feedDir, channelPath(board, channel)) })
    }
  }
  return found
}

/** In order of name; none where there is no folder. */
async function names(path: string): Promise<string[]> {
  const found = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
    throw error
  })
  return found.sort()
}

/** By its name; what is in it has not been looked at. */
export interface FoundBundle {
  readonly version: string
  readonly path: string
}

/** The bundles of a board that `addBundle` has put there, the newest version first. */
export async function listBundles(feedDir: string, board: string): Promise<FoundBundle[]> {
  const folder = join(feedDir, 'bundles', board)
  const start = `atomixos-${board}-`
  const found = (await names(folder)).flatMap((name): FoundBundle[] => {
    const match = name.startsWith(start) ? /^(.+)-[0-9a-f]{12}\.raucb$/.exec(name.slice(start.length)) : null
    const version = match?.[1]?.replaceAll('_', '+')
    return version !== undefined && isVersionText(version) ? [{ version, path: join(folder, name) }] : []
  })
  return found.sort((a, b) => compareVersionTexts(b.version, a.version))
}

/** A delta under its content's name, as a bundle is; `write` makes it. */
export async function addDelta(
  feedDir: string,
  options: {
    readonly board: string
    readonly from: string
    readonly to: string
    readonly write: (outPath: string) => Promise<void>
  },
): Promise<FeedFile> {
  const { board } = options
  const [from, to] = [options.from, options.to].map((version) => version.replaceAll('+', '_'))
  const folder = `deltas/${board}`
  const unfinished = join(feedDir, folder, `.${from}-to-${to}.new-${randomBytes(4).toString('hex')}`)
  await mkdir(dirname(unfinished), { recursive: true })
  try {
    await options.write(unfinished)
    const file = await hashFile(unfinished)
    const path = `${folder}/atomixos-${board}-${from}-to-${to}-${file.sha256.slice(0, 12)}.delta`
    await replaceFile(join(feedDir, path), (target) => rename(unfinished, target))
    return { path, ...file }
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** Beside each other under its content's name: a file that a device is just fetching is never exchanged. */
export async function addBundle(
  feedDir: string,
  options: {
    readonly path: string
    readonly board: string
    readonly version: string
    readonly signal?: AbortSignal
  },
): Promise<FeedFile> {
  const { board, version } = options
  const file = await hashFile(options.path)
  const name = `atomixos-${board}-${version.replaceAll('+', '_')}-${file.sha256.slice(0, 12)}.raucb`
  const path = `bundles/${board}/${name}`
  const target = join(feedDir, path)
  const there = await hashFile(target).catch(() => undefined)
  if (there?.sha256 !== file.sha256) {
    await replaceFile(target, (unfinished) => copy(options.path, unfinished, options.signal))
    const copied = await hashFile(target)
    if (copied.sha256 !== file.sha256) {
      await rm(target)
      throw new UserError(`${options.path} changed while it was copied`, { hint: 'publish it again' })
    }
  }
  return { path, ...file }
}

export async function hashFile(path: string): Promise<Omit<FeedFile, 'path'>> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return { sizeBytes: (await stat(path)).size, sha256: hash.digest('hex') }
}

/**
 * Whole or not at all: what `write` makes beside it is brought to the disk and renamed. Readable to everybody, as a web
 * server needs it.
 */
export async function replaceFile(path: string, write: (unfinished: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.new-${randomBytes(4).toString('hex')}`
  try {
    await write(unfinished)
    const file = await open(unfinished, 'r')
    try {
      await file.chmod(0o644)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
    const folder = await open(dirname(path), 'r')
    await folder.sync().finally(() => folder.close())
  } finally {
    await rm(unfinished, { force: true })
  }
}

async function copy(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  const target = await open(to, 'wx')
  await pipeline(createReadStream(from), target.createWriteStream(), { ...(signal && { signal }) })
}

/** One publisher at a time: two would give one number to two channels. */
export async function exclusively<T>(feedDir: string, work: () => Promise<T>): Promise<T> {
  const lockPath = join(feedDir, '.publishing')
  const lock = await open(lockPath, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw cannotWrite(feedDir, error)
    throw new UserError(`somebody else is publishing into ${feedDir}`, {
      hint: `if nobody is, a command was killed: remove ${lockPath}`,
    })
  })
  try {
    return await work()
  } finally {
    await lock.close()
    await rm(lockPath, { force: true })
  }
}

export async function makeFeed(feedDir: string): Promise<void> {
  await mkdir(feedDir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    throw cannotWrite(feedDir, error)
  })
}

export async function requireFolder(feedDir: string): Promise<void> {
  const found = await stat(feedDir).catch(() => undefined)
  if (found?.isDirectory()) return
  throw new UserError(`${feedDir} is no folder`, {
    hint: '`./atomixos feed publish DIR BUNDLE` makes a feed',
    exitCode: 2,
  })
}

function cannotWrite(feedDir: string, cause: NodeJS.ErrnoException): UserError {
  return new UserError(`${feedDir} cannot be written: ${cause.code ?? cause.message}`, { exitCode: 2, cause })
}
