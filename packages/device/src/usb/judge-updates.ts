import { join } from 'node:path'
import { type Channel, chooseRelease, compareVersionTexts, oneLine, readChannel } from '@atomixos/config'
import { decide, type Situation } from '../upgrade/decide.ts'
import type { BundleInfo } from '../upgrade/install.ts'
import { type FileFacts, isVersion } from '../upgrade/parse-answer.ts'
import type { StickUpdates } from './find-updates.ts'

/** One thing on the stick, and what is thought of it. */
export interface SeenUpdate {
  /** As the stick calls it. */
  readonly file: string
  readonly version: string | undefined
  /** Why it is not taken; undefined: it could be. */
  readonly refused: string | undefined
}

/** What is to be installed, by paths below the root of the stick. */
export interface ChosenUpdate {
  readonly file: string
  readonly version: string
  readonly bundle: { readonly path: string; readonly facts: FileFacts | undefined }
  readonly delta: { readonly path: string; readonly facts: FileFacts } | undefined
}

export interface JudgeOptions extends Omit<Situation, 'answer'> {
  readonly compatible: string
  readonly board: string
  readonly channel: string
  /** Of a bundle below the root, as RAUC reads it; fails with RAUC's reason. */
  readonly readBundleInfo: (path: string) => Promise<BundleInfo>
  /** Of a channel file: all that RAUC says; fails with its reason. */
  readonly readChannelInfo: (path: string) => Promise<string>
}

/**
 * Asks RAUC about everything that was found, and decides as about what a server offers. Nobody's clock is asked: a person
 * has brought the stick, so steps, windows and the expiry of a channel don't count; a halt does.
 */
export async function judgeUpdates(
  found: StickUpdates,
  options: JudgeOptions,
): Promise<{ readonly seen: readonly SeenUpdate[]; readonly chosen: ChosenUpdate | undefined }> {
  const judged = [
    ...(found.feed === undefined ? [] : [await judgeFeed(found.feed, options)]),
    ...(await inOrder(found.bundles, (path) => judgeBundle(path, options))),
  ]
  const chosen = judged
    .flatMap(({ update }) => update ?? [])
    // Of the same version the first one: the feed's, which may have a delta.
    .reduce<ChosenUpdate | undefined>(
      (best, next) =>
        best !== undefined && compareVersionTexts(best.version, next.version) >= 0 ? best : next,
      undefined,
    )
  return { seen: judged.map(({ seen }) => seen), chosen }
}

interface Judged {
  readonly seen: SeenUpdate
  readonly update?: ChosenUpdate
}

async function judgeBundle(path: string, options: JudgeOptions): Promise<Judged> {
  const refuse = (reason: string, version?: string): Judged => ({
    seen: { file: path, version, refused: oneLine(reason, 400) },
  })
  const info = await options.readBundleInfo(path).catch((error: Error) => error)
  if (info instanceof Error) return refuse(info.message)
  const { compatible, version } = info
  if (compatible !== options.compatible) {
    return refuse(`it is for "${compatible}", this is "${options.compatible}"`, version)
  }
  if (!isVersion(version)) return refuse(`its version "${version}" is not a semantic version`, version)
  const decision = decide({ ...options, answer: { version, bundleUrl: path } })
  if (decision.action === 'none') return refuse(decision.reason, version)
  const bundle = { path, facts: undefined }
  return {
    seen: { file: path, version, refused: undefined },
    update: { file: path, version, bundle, delta: undefined },
  }
}

async function judgeFeed(
  { folder, channelFile }: NonNullable<StickUpdates['feed']>,
  options: JudgeOptions,
): Promise<Judged> {
  const file = join(folder, channelFile)
  const refuse = (reason: string, version?: string): Judged => ({
    seen: { file, version, refused: oneLine(reason, 400) },
  })
  const info = await options.readChannelInfo(file).catch((error: Error) => error)
  if (info instanceof Error) return refuse(info.message)
  const channel = channelOf(info, options)
  if ('reason' in channel) return refuse(channel.reason)
  const chosen = chooseRelease(channel, options.runningVersion)
  if ('reason' in chosen) return refuse(chosen.reason)
  const { version, bundle, deltas } = chosen.release
  if (channel.halt !== undefined) return refuse(`the channel is halted: ${channel.halt.reason}`, version)
  const decision = decide({ ...options, answer: { version, bundleUrl: bundle.path } })
  if (decision.action === 'none') return refuse(decision.reason, version)
  const [delta] = deltas
    .filter(({ from, sizeBytes }) => from === options.runningVersion && sizeBytes < bundle.sizeBytes)
    .toSorted((a, b) => a.sizeBytes - b.sizeBytes)
  return {
    seen: { file, version, refused: undefined },
    update: {
      ...{ file, version },
      bundle: { path: join(folder, bundle.path), facts: bundle },
      delta: delta && { path: join(folder, delta.path), facts: delta },
    },
  }
}

function channelOf(
  info: string,
  options: { readonly board: string; readonly channel: string },
): Channel | { readonly reason: string } {
  const read = readChannel(info)
  if ('kind' in read) return { reason: read.reason }
  const { channel, board } = read
  if (board !== options.board || channel.board !== options.board) {
    return { reason: `it is for another board than "${options.board}"` }
  }
  if (channel.channel !== options.channel) {
    return { reason: `it is the channel "${channel.channel}", and this device follows "${options.channel}"` }
  }
  return channel
}

async function inOrder<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await work(item))
  return results
}
