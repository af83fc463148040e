/** A piece of new bytes that is among the old ones, too. */
export interface Match {
  /** In the new bytes. */
  readonly at: number
  /** In the old ones. */
  readonly from: number
  readonly lengthBytes: number
}

/** What is compared; nothing shorter is found. */
const windowBytes = 32
/** Each so many bytes of the old ones a window is known. */
const strideBytes = 16
const multiplier = 0x2c9277b5
const tableBitsMax = 24

/**
 * Finds what of `wanted` is in `old`, from left to right, at any byte: compressed data moves by odd numbers of bytes. Memory
 * besides the bytes: at most 64 MiB. `onProgress` is called now and then, and may throw.
 */
export function findMatches(
  old: Uint8Array,
  wanted: Uint8Array,
  onProgress: (doneBytes: number) => void = () => {},
): Match[] {
  const index = new WindowIndex(old)
  const matches: Match[] = []
  // Before it, all is in a match or given up.
  let settled = 0
  let at = 0
  let hash = at + windowBytes <= wanted.byteLength ? hashAt(wanted, at) : 0
  let nextReport = 0
  while (at + windowBytes <= wanted.byteLength) {
    if (at >= nextReport) {
      onProgress(at)
      nextReport = at + (1 << 20)
    }
    const last = matches.at(-1)
    const from = index.candidate(hash, wanted, at, last && last.from + (at - last.at))
    if (from === undefined) {
      hash =
        (Math.imul(hash - Math.imul(wanted[at]!, leaving), multiplier) + (wanted[at + windowBytes] ?? 0)) | 0
      at += 1
      continue
    }
    let before = 0
    while (at - before > settled && from - before > 0 && wanted[at - before - 1] === old[from - before - 1])
      before += 1
    let after = windowBytes
    const most = Math.min(wanted.byteLength - at, old.byteLength - from)
    while (after < most && wanted[at + after] === old[from + after]) after += 1
    matches.push({ at: at - before, from: from - before, lengthBytes: before + after })
    at += after
    settled = at
    if (at + windowBytes <= wanted.byteLength) hash = hashAt(wanted, at)
  }
  return matches
}

/** multiplier ** (windowBytes - 1), what the oldest byte has become. */
const leaving = Array.from({ length: windowBytes - 1 }).reduce<number>(
  (power) => Math.imul(power, multiplier),
  1,
)

function hashAt(bytes: Uint8Array, at: number): number {
  let hash = 0
  for (let i = 0; i < windowBytes; i++) hash = (Math.imul(hash, multiplier) + bytes[at + i]!) | 0
  return hash
}

/** Where windows are in the old bytes, by their hash. Of several the first one, behind which a run of zeros has its length. */
class WindowIndex {
  readonly #old: Uint8Array
  readonly #shift: number
  readonly #places: Int32Array

  constructor(old: Uint8Array) {
    const windows = Math.max(1, Math.floor(old.byteLength / strideBytes))
    const bits = Math.min(tableBitsMax, Math.max(8, Math.ceil(Math.log2(windows)) + 1))
    this.#old = old
    this.#shift = 32 - bits
    this.#places = new Int32Array(1 << bits).fill(-1)
    for (let at = 0; at + windowBytes <= old.byteLength; at += strideBytes) {
      const slot = this.#slot(hashAt(old, at))
      if (this.#places[slot]! < 0) this.#places[slot] = at
    }
  }

  /** `expected`: where the match before would go on, which is preferred. */
  candidate(hash: number, wanted: Uint8Array, at: number, expected: number | undefined): number | undefined {
    const place = this.#places[this.#slot(hash)]!
    if (place < 0 || !this.#same(place, wanted, at)) return undefined
    return expected !== undefined && this.#same(expected, wanted, at) ? expected : place
  }

  #slot(hash: number): number {
    return Math.imul(hash, 0x9e3779b1) >>> this.#shift
  }

  #same(from: number, wanted: Uint8Array, at: number): boolean {
    if (from < 0 || from + windowBytes > this.#old.byteLength) return false
    for (let i = 0; i < windowBytes; i++) if (this.#old[from + i] !== wanted[at + i]) return false
    return true
  }
}
