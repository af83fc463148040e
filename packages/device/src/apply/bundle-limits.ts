import { bundleLimits as contractLimits } from '@atomixos/config/operator/bundle.ts'

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
export const bundleLimits: BundleLimits = { ...contractLimits, unpackMs: 30_000 }

const variables = {
  ATOMIXOS_BUNDLE_UPLOAD_BYTES: 'uploadBytesMax',
  ATOMIXOS_BUNDLE_UNPACKED_BYTES: 'unpackedBytesMax',
  ATOMIXOS_BUNDLE_MEMBERS: 'membersMax',
  ATOMIXOS_BUNDLE_MEMBER_BYTES: 'memberBytesMax',
  ATOMIXOS_BUNDLE_UNPACK_MS: 'unpackMs',
} as const satisfies Readonly<Record<string, keyof BundleLimits>>

/** The contract's limits, but for those that the environment of the unit sets. Throws an Error for what is no limit. Pure. */
export function bundleLimitsOf(environment: Readonly<Record<string, string | undefined>>): BundleLimits {
  const set = Object.entries(variables).flatMap(([variable, limit]) => {
    const text = environment[variable]
    if (text === undefined) return []
    if (!/^[1-9][0-9]{0,12}$/.test(text)) throw new Error(`${variable}: "${text}" is no whole number above 0`)
    return [[limit, Number(text)] as const]
  })
  return { ...bundleLimits, ...Object.fromEntries(set) }
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
