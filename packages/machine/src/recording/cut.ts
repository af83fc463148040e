/**
 * What a disk holds after its power was cut. Pure: entries of a log in, which parts of which writes landed out.
 *
 * A disk with a write cache promises one thing: what was done before a flush is there after the flush. Of the writes
 * since then it may have kept any, in any order, and of a write any of its sectors. A device without a cache (the card)
 * has written what it says it has; only the write that the cut meets is in doubt, down to the byte.
 */
import type { LogEntry } from './write-log.ts'

export const sectorBytes = 512

/**
 * What becomes of the write that the cut is about, the victim, and of the others that no flush has covered:
 * `lost`: it is not there, all that was done before it is. `alone`: nothing that no flush has covered is there.
 * `torn`: some of its sectors are there. `reordered`: it is not there, but others are, some that were done later among
 * them. `reordered-torn`: both.
 */
export const cutKinds = ['lost', 'alone', 'torn', 'reordered', 'reordered-torn'] as const

export type CutKind = (typeof cutKinds)[number]

/** Part of an entry's bytes, from its beginning. */
export interface Range {
  readonly from: number
  readonly sizeBytes: number
}

export interface Landed {
  readonly entry: LogEntry
  /** In ascending order. Empty: nothing of it. */
  readonly ranges: readonly Range[]
}

export interface Cut {
  readonly kind: CutKind
  readonly victim: LogEntry
  /** Everything on the cached device before this entry is there: the flush, or the start of the log (0). */
  readonly durableBefore: number
  /** The last entry that was done when the power was cut. */
  readonly at: number
  /** The entries from `durableBefore` to `at` that are no flush, in order, and what of each is there. */
  readonly landed: readonly Landed[]
}

export interface CutOptions {
  readonly victim: number
  readonly kind: CutKind
  /** Whether an entry is on the device without a cache. */
  readonly uncached: (entry: LogEntry) => boolean
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number
}

/** At most this many writes after the victim are among those that may be there without it. */
const laterMax = 2000

export function planCut(entries: readonly LogEntry[], options: CutOptions): Cut {
  const { kind, uncached, random } = options
  const victim = entries[options.victim]
  if (victim === undefined || victim.kind === 'flush') {
    throw new RangeError(`entry ${options.victim} of the log is no write that could be cut`)
  }
  const durableBefore = lastFlush(entries, victim.index)
  const reordered = kind === 'reordered' || kind === 'reordered-torn'
  const later = reordered && !uncached(victim) ? writesUntilFlush(entries, victim.index) : 0
  const at = victim.index + Math.floor(random() * (later + 1))
  const torn = kind === 'torn' || kind === 'reordered-torn'
  // How much the cache had got rid of by itself differs from cut to cut.
  const kept = random()
  const landed = entries.slice(durableBefore, at + 1).flatMap((entry): Landed[] => {
    if (entry.kind === 'flush') return []
    const share = (): readonly Range[] => {
      if (entry === victim) return torn ? part(entry, uncached(entry), random) : []
      if (uncached(entry) || entry.fua) return all(entry)
      if (kind === 'alone') return []
      if (!reordered) return all(entry)
      if (random() >= kept) return []
      // One in ten of those that are there is there in part.
      return random() < 0.1 ? part(entry, false, random) : all(entry)
    }
    return [{ entry, ranges: share() }]
  })
  return { kind, victim, durableBefore, at, landed }
}

/** The entry behind the last flush before `index`. */
function lastFlush(entries: readonly LogEntry[], index: number): number {
  for (let before = index - 1; before >= 0; before--) {
    if (entries[before]!.kind === 'flush') return before + 1
  }
  return 0
}

function writesUntilFlush(entries: readonly LogEntry[], index: number): number {
  let count = 0
  while (count < laterMax) {
    const next = entries[index + count + 1]
    if (next === undefined || next.kind === 'flush') break
    count++
  }
  return count
}

function all(entry: LogEntry): Range[] {
  return [{ from: 0, sizeBytes: entry.sizeBytes }]
}

/** Some of its sectors, not all and where possible not none; of a card's write its first bytes. */
function part(entry: LogEntry, uncached: boolean, random: () => number): Range[] {
  const below = (limit: number) => Math.floor(random() * limit)
  if (uncached) return [{ from: 0, sizeBytes: 1 + below(entry.sizeBytes - 1) }]
  const sectors = entry.sizeBytes / sectorBytes
  if (sectors < 2) return []
  const whole = (from: number, count: number) => ({
    from: from * sectorBytes,
    sizeBytes: count * sectorBytes,
  })
  // Half of the tears are near the beginning, where what describes the rest is.
  const cut = 1 + below(random() < 0.5 ? Math.min(8, sectors - 1) : sectors - 1)
  switch (below(3)) {
    case 0:
      return [whole(0, cut)]
    case 1:
      return [whole(cut, sectors - cut)]
    default: {
      // A hole in the middle, or at the end when there is no middle.
      const size = 1 + below(sectors - cut)
      const rest = sectors - cut - size
      return [whole(0, cut), ...(rest > 0 ? [whole(cut + size, rest)] : [])]
    }
  }
}
