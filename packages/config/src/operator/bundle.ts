import type { Problem } from '../problem.ts'

/**
 * A bundle: `config.toml` and `files/` in a compressed tar archive. The limits are for both sides; a device refuses archives
 * header by header, and who packs one is told all that is wrong with it. Pure.
 */

const MiB = 1 << 20

/** The contract's; a device may have others. */
export const bundleLimits = {
  uploadBytesMax: 32 * MiB,
  /** Of all that is in it, headers included. */
  unpackedBytesMax: 256 * MiB,
  membersMax: 4096,
  memberBytesMax: 64 * MiB,
} as const

/** Below /data/config/, so that no path on the device gets too long. */
export const pathLimits = { pathBytesMax: 1024, partBytesMax: 255, depthMax: 32 } as const

export interface BundleMember {
  /** `config.toml`, `files`, `files/www/index.html`. */
  readonly path: string
  readonly kind: 'file' | 'folder' | 'other'
  readonly sizeBytes: number
}

/** All that keeps a device from taking these members, each once in the list. */
export function bundleProblems(members: readonly BundleMember[]): Problem[] {
  const problems = members.flatMap(memberProblems)
  const { membersMax, unpackedBytesMax } = bundleLimits
  if (members.length > membersMax) {
    problems.push({ path: '', message: `it has ${members.length} members, and ${membersMax} are the most` })
  }
  // A header for each, and what fills the last block of 512 bytes.
  const bytes = members.reduce((sum, { sizeBytes }) => sum + 512 + Math.ceil(sizeBytes / 512) * 512, 1024)
  if (bytes > unpackedBytesMax) {
    problems.push({
      path: '',
      message: `it unpacks to ${inMiB(bytes)}, and ${inMiB(unpackedBytesMax)} are the most`,
    })
  }
  return problems
}

function memberProblems({ path, kind, sizeBytes }: BundleMember): Problem[] {
  const parts = path.split('/')
  const { memberBytesMax } = bundleLimits
  const { pathBytesMax, partBytesMax, depthMax } = pathLimits
  const wrong: (readonly [message: string, hint?: string] | undefined)[] = [
    kind === 'other'
      ? ['it is a link, or no file at all', 'bundles hold files and folders: copy there what it leads to']
      : undefined,
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\ufffd\\]/u.test(path)
      ? ['its name holds a backslash or a character that does not show']
      : undefined,
    byteLength(path) > pathBytesMax ? [`its path is longer than ${pathBytesMax} bytes`] : undefined,
    parts.some((part) => byteLength(part) > partBytesMax)
      ? [`its name is longer than ${partBytesMax} bytes`]
      : undefined,
    parts.length > depthMax ? [`it is more than ${depthMax} folders deep`] : undefined,
    sizeBytes > memberBytesMax
      ? [
          `it is ${inMiB(sizeBytes)}, and ${inMiB(memberBytesMax)} are the most`,
          'compress an archive of an image by zstd, or make the image smaller',
        ]
      : undefined,
  ]
  return wrong.flatMap((problem) => {
    if (problem === undefined) return []
    const [message, hint] = problem
    return [{ path, message, ...(hint !== undefined && { hint }) }]
  })
}

export function inMiB(bytes: number): string {
  return `${Math.ceil((bytes / MiB) * 10) / 10} MiB`
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}
