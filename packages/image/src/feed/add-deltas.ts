import { compareVersionTexts, type FeedDelta } from '@atomixos/config'
import { inspectBundle } from '../bundle/inspect.ts'
import type { BundleVerity } from '../bundle/manifest.ts'
import { PayloadLayoutError } from '../bundle/payload-layout.ts'
import { readBundle } from '../bundle/read.ts'
import { judgeSignature, verifyPayload } from '../bundle/verify.ts'
import { NoDelta, writeDelta } from '../delta/make-delta.ts'
import { type PlainBundle, readPlainBundle } from '../delta/plain-bundle.ts'
import { UserError } from '../errors.ts'
import type { Reporter } from '../reporter.ts'
import type { ToolTree } from '../tools/tools.ts'
import { addDelta, type FoundBundle, listBundles } from './feed-tree.ts'

export interface AddDeltasOptions {
  readonly board: string
  /** The release that is published: verified. */
  readonly to: { readonly version: string; readonly path: string; readonly verity: BundleVerity }
  /** From so many of the latest versions that the feed holds. */
  readonly count: number
  /** Devices below it do not take the release directly. */
  readonly floor: string | undefined
  /** Of devices: what they would refuse, they do not run. */
  readonly keyringPath: string
  readonly tools: ToolTree
  readonly reporter: Reporter
  readonly signal: AbortSignal
}

/** A device would fetch almost as much, and work for it. */
const shareMax = 0.8

/**
 * Makes deltas from the bundles of earlier versions in the feed, the latest first. What can't be used as a beginning, or is
 * not worth it, is named and left out.
 */
export async function addDeltas(feedDir: string, options: AddDeltasOptions): Promise<FeedDelta[]> {
  const { board, to, count, floor, reporter, signal } = options
  const earlier = (await listBundles(feedDir, board)).filter(
    ({ version }) =>
      compareVersionTexts(version, to.version) < 0 &&
      (floor === undefined || compareVersionTexts(version, floor) >= 0),
  )
  const deltas: FeedDelta[] = []
  let wanted: PlainBundle | undefined
  for (const from of earlier) {
    if (deltas.length >= count) break
    if (deltas.some((delta) => delta.from === from.version)) continue
    signal.throwIfAborted()
    const task = reporter.task(`delta from ${from.version}`)
    try {
      await requireBundle(from, options)
      wanted ??= await readPlainBundle(to.path)
      const toBundle = wanted
      const file = await addDelta(feedDir, {
        ...{ board, from: from.version, to: to.version },
        write: async (outPath) =>
          writeDelta(
            {
              from: await readPlainBundle(from.path),
              to: toBundle,
              verity: to.verity,
              sizeBytesMax: Math.floor(toBundle.sizeBytes * shareMax),
              signal,
              onProgress: (done, total) => task.progress(done, total, 'bytes'),
            },
            outPath,
          ),
      })
      deltas.push({ from: from.version, ...file })
      task.done(`${(file.sizeBytes / 1e6).toFixed(1)} MB, ${sharePercent(file, wanted)} % of the bundle`)
    } catch (error) {
      task.failed()
      const expected =
        error instanceof NoDelta || error instanceof PayloadLayoutError || error instanceof UserError
      if (!expected) throw error
      reporter.warn(`no delta from ${from.version}: ${error.message}`)
    }
  }
  return deltas
}

/** Who can write to the feed can put anything there; a device runs only what it has accepted. */
async function requireBundle(
  { path, version }: FoundBundle,
  { tools, keyringPath }: AddDeltasOptions,
): Promise<void> {
  const bundle = await readBundle(path)
  const { manifest } = await inspectBundle(tools, bundle)
  if (manifest.version !== version) throw new NoDelta(`${path} is version ${manifest.version}`)
  const judged = await judgeSignature(tools, { bundlePath: path, keyringPath })
  if (!judged.accepted) throw new NoDelta(`devices refuse ${path}: ${judged.reason}`)
  verifyPayload(bundle, manifest.verity)
}

/** Two digits. */
export function sharePercent(part: { sizeBytes: number }, whole: { sizeBytes: number }): string {
  return ((part.sizeBytes * 100) / whole.sizeBytes).toFixed(2)
}
