import { stat } from 'node:fs/promises'
import { firmwareSectors, sectorBytes } from '@atomixos/config'
import { imageGpt } from '../disk/write-disk.ts'
import type { Lock } from '../lock/lock.ts'
import { comparePaths } from '../tree/tree.ts'
import type { VerityParameters } from '../verity/verity.ts'
import { hashFiles } from './hash-files.ts'

/** `manifest.json`: what a build made and of what, for programs that flash, serve or check it. */
export interface Manifest {
  readonly format: 1
  readonly product: 'atomixos'
  readonly board: string
  readonly version: string
  /** Debian's release, from the lock. */
  readonly series: string
  readonly variant: string
  readonly sourceDateEpoch: number
  readonly artifacts: readonly Artifact[]
  readonly disk: {
    readonly sizeBytes: number
    readonly id: string
    readonly partitions: readonly {
      label: string
      number: number
      id: string
      offsetBytes: number
      sizeBytes: number
    }[]
    readonly firmware: readonly { name: string; offsetBytes: number }[]
  }
  /** Where the hash tree is in the root file system's image, and the one hash that vouches for all of it. */
  readonly verity: VerityParameters
  readonly inputs: {
    /** Of atomixos.lock.json. */
    readonly lockSha256: string
    readonly archives: Lock['archives']
    /** Number of packages by target of the lock. */
    readonly packages: Readonly<Record<string, number>>
  }
}

export interface Artifact {
  /** File name, beside the manifest. */
  readonly name: string
  readonly kind: string
  readonly sizeBytes: number
  readonly sha256: string
}

export interface ArtifactFile {
  readonly name: string
  readonly kind: string
  /** Where the bytes are: a step's result, which does not change any more. */
  readonly path: string
}

/** Sizes and hashes of the files, in order of name. */
export async function describeArtifacts(files: readonly ArtifactFile[]): Promise<Artifact[]> {
  const hashes = await hashFiles(files.map(({ path }) => path))
  const sorted = files.toSorted((a, b) => comparePaths(a.name, b.name))
  return Promise.all(
    sorted.map(async ({ name, kind, path }) => ({
      name,
      kind,
      sizeBytes: (await stat(path)).size,
      sha256: hashes.get(path)!,
    })),
  )
}

export interface ManifestFacts {
  readonly board: string
  readonly version: string
  readonly variant: string
  readonly lock: Lock
  readonly lockSha256: string
  readonly artifacts: readonly Artifact[]
  readonly verity: VerityParameters
}

export function makeManifest({
  board,
  version,
  variant,
  lock,
  lockSha256,
  artifacts,
  verity,
}: ManifestFacts): Manifest {
  const gpt = imageGpt(board)
  return {
    format: 1,
    product: 'atomixos',
    board,
    version,
    series: lock.series,
    variant,
    sourceDateEpoch: lock.sourceDateEpoch,
    artifacts,
    disk: {
      sizeBytes: gpt.diskBytes,
      id: gpt.diskId,
      partitions: gpt.partitions.map(({ label, number, id, offsetBytes, sizeBytes }) => ({
        label,
        number,
        id,
        offsetBytes,
        sizeBytes,
      })),
      firmware: [
        { name: 'idbloader.img', offsetBytes: firmwareSectors.idbloader * sectorBytes },
        { name: 'u-boot.itb', offsetBytes: firmwareSectors.ubootItb * sectorBytes },
      ],
    },
    verity,
    inputs: {
      lockSha256,
      archives: lock.archives,
      packages: Object.fromEntries(
        Object.entries(lock.targets).map(([name, target]) => [name, target.packages.length]),
      ),
    },
  }
}

export function renderManifest(manifest: Manifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`
}

/** For `sha256sum --check`; two spaces, as for text files. */
export function renderChecksums(artifacts: readonly Pick<Artifact, 'name' | 'sha256'>[]): string {
  return artifacts.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')
}
