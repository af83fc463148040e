/** What an upload may cost, whoever sends it. */
export interface BundleLimits {
  readonly uploadBytesMax: number
  /** Of all that is in it, headers included. */
  readonly unpackedBytesMax: number
  readonly membersMax: number
  readonly memberBytesMax: number
  readonly unpackMs: number
}

/** The contract's. */
export const bundleLimits: BundleLimits = {
  uploadBytesMax: 32 << 20,
  unpackedBytesMax: 256 << 20,
  membersMax: 4096,
  memberBytesMax: 64 << 20,
  unpackMs: 30_000,
}

/** An upload that is not taken, and why. Nothing of it counts. */
export class BundleRefused extends Error {
  override readonly name = 'BundleRefused'
  /** What to do about it. */
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

export function sizeText(bytes: number): string {
  return bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes} bytes`
}
