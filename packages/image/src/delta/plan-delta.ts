import { type DeltaRange, deltaLimits } from '@atomixos/config'
import type { Match } from './match.ts'

/** Where new bytes come from: as they are, or by a patch against places in the old ones. */
export type PlannedStep =
  | { readonly kind: 'copy'; readonly at: number; readonly from: number; readonly lengthBytes: number }
  | {
      readonly kind: 'patch'
      readonly at: number
      readonly lengthBytes: number
      readonly places: readonly Interval[]
    }

/** In the old bytes. */
export interface Interval {
  readonly from: number
  readonly until: number
}

/** Shorter matches are found by zstd, which is told where to look. */
export const copyBytesMin = 16 << 10
const patchBytes = 1 << 20
/** What is around a place that was of use may be, too. */
const aroundBytes = 4 << 10
/** Beyond the end of a copy the old bytes may go on much like the new ones. */
const beyondBytes = 128 << 10

/** Steps for the new bytes from `start` up to, but not, `end`, in order and without gaps. Pure. */
export function planSteps(
  matches: readonly Match[],
  { start, end, oldBytes }: { readonly start: number; readonly end: number; readonly oldBytes: number },
): PlannedStep[] {
  const inside = matches.map((match) => clip(match, start, end)).filter(({ lengthBytes }) => lengthBytes > 0)
  const copies = inside.filter(({ lengthBytes }) => lengthBytes >= copyBytesMin)
  const hints = inside.filter(({ lengthBytes }) => lengthBytes < copyBytesMin)
  const steps: PlannedStep[] = []
  let at = start
  let before: Match | undefined
  let hint = 0
  for (const copy of [...copies, undefined]) {
    const gapEnd = copy?.at ?? end
    for (; at < gapEnd; ) {
      const lengthBytes = Math.min(patchBytes, gapEnd - at)
      const places: Weighted[] = []
      while (hint < hints.length && hints[hint]!.at < at + lengthBytes) {
        const { from, lengthBytes: weight } = hints[hint]!
        places.push({ from: from - aroundBytes, until: from + weight + aroundBytes, weight })
        hint += 1
      }
      // Where the copies on both sides would go on.
      const reach = lengthBytes + beyondBytes
      if (before !== undefined) {
        const from = before.from + (at - before.at)
        if (at - (before.at + before.lengthBytes) < reach)
          places.push({ from: from - beyondBytes, until: from + reach, weight: beyondBytes })
      }
      if (copy !== undefined && gapEnd - at < 2 * reach) {
        places.push({ from: copy.from - reach, until: copy.from + beyondBytes, weight: beyondBytes })
      }
      steps.push({ kind: 'patch', at, lengthBytes, places: choosePlaces(places, oldBytes) })
      at += lengthBytes
    }
    if (copy === undefined) break
    steps.push({ kind: 'copy', at: copy.at, from: copy.from, lengthBytes: copy.lengthBytes })
    at = copy.at + copy.lengthBytes
    before = copy
  }
  return steps
}

function clip({ at, from, lengthBytes }: Match, start: number, end: number): Match {
  const skipped = Math.max(0, start - at)
  const until = Math.min(at + lengthBytes, end)
  return { at: at + skipped, from: from + skipped, lengthBytes: until - at - skipped }
}

interface Weighted extends Interval {
  readonly weight: number
}

/** As many as fit into a patch, those of the most use first; in order of place. */
function choosePlaces(places: readonly Weighted[], oldBytes: number): Interval[] {
  let merged = mergePlaces(places, oldBytes, 0)
  // Few ranges: close ones are joined, closer and closer.
  for (let gapBytes = 4 << 10; merged.length > deltaLimits.rangesMax && gapBytes < 1 << 20; gapBytes *= 2) {
    merged = mergePlaces(merged, oldBytes, gapBytes)
  }
  const chosen: Weighted[] = []
  let totalBytes = 0
  for (const place of merged.toSorted((a, b) => b.weight - a.weight)) {
    const lengthBytes = place.until - place.from
    if (chosen.length === deltaLimits.rangesMax) break
    if (totalBytes + lengthBytes > deltaLimits.dictionaryBytesMax) continue
    chosen.push(place)
    totalBytes += lengthBytes
  }
  return chosen.toSorted((a, b) => a.from - b.from).map(({ from, until }) => ({ from, until }))
}

function mergePlaces(places: readonly Weighted[], oldBytes: number, gapBytes: number): Weighted[] {
  const merged: Weighted[] = []
  for (const place of places.toSorted((a, b) => a.from - b.from)) {
    const from = Math.max(0, place.from)
    const until = Math.min(oldBytes, place.until)
    if (from >= until) continue
    const last = merged.at(-1)
    if (last !== undefined && from <= last.until + gapBytes) {
      const weight = last.weight + place.weight
      merged[merged.length - 1] = { from: last.from, until: Math.max(last.until, until), weight }
    } else merged.push({ from, until, weight: place.weight })
  }
  return merged
}

/** A piece of an image among the old bytes. */
export interface Segment {
  /** Which image, and where in it. */
  readonly source: number
  readonly offsetBytes: number
  /** Where in the old bytes. */
  readonly startBytes: number
  readonly sizeBytes: number
}

/** Places in pieces that lie one after the other, as ranges of their images. Pure. */
export function rangesOf({ from, until }: Interval, segments: readonly Segment[]): DeltaRange[] {
  return segments.flatMap(({ source, offsetBytes, startBytes, sizeBytes }) => {
    const first = Math.max(from, startBytes)
    const last = Math.min(until, startBytes + sizeBytes)
    return first < last
      ? [{ source, offsetBytes: offsetBytes + first - startBytes, lengthBytes: last - first }]
      : []
  })
}
