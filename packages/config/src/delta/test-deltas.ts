import { createHash } from 'node:crypto'
import { constants, zstdCompressSync } from 'node:zlib'
import { seeded } from '../channel/test-channels.ts'
import {
  DeltaError,
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRepacking,
  type DeltaStep,
} from './format.ts'
import { HashTree } from './hash-tree.ts'
import { packBlock, rebuildBundle } from './rebuild.ts'
import { repackWhole } from './repack.ts'
import { deltaEnd, deltaStart, deltaStep } from './write-delta.ts'

const blockBytes = 16 << 10

/** For tests: a little of everything that is in real deltas, with what it is made for and what it leads to. */
export interface TestDelta {
  readonly header: DeltaHeader
  readonly frames: readonly DeltaFrame[]
  readonly steps: readonly DeltaStep[]
  readonly bytes: Buffer
  readonly sources: readonly Buffer[]
  readonly bundle: Buffer
}

export async function testDelta(): Promise<TestDelta> {
  const repackings: readonly DeltaRepacking[] = [
    { form: 'block', level: 3, minMatch: 4, checksum: false },
    { form: 'stream', level: 5, windowLog: 18, hashLog: 14, checksum: true },
  ]
  const [oldWords, oldStream] = [words(3, 20_000), words(4, 30_000)]
  const newWords = Buffer.concat([oldWords.subarray(0, 9000), Buffer.from('new'), oldWords.subarray(9000)])
  const newStream = Buffer.concat([Buffer.from('newer'), oldStream])
  const oldFrames = [
    await repackWhole(oldWords, repackings[0]!),
    await repackWhole(oldStream, repackings[1]!),
  ]
  const newFrames = [
    await repackWhole(newWords, repackings[0]!),
    await repackWhole(newStream, repackings[1]!),
  ]
  const boot = words(1, 5 * blockBytes)
  const plainRoot = noise(2, 3 * blockBytes)
  const rootfs = Buffer.concat([plainRoot, ...oldFrames])
  const salt = sha256(Buffer.from('salt'))
  const head = Buffer.from('the head of a bundle'.padEnd(4096))
  const changed = Buffer.concat([boot.subarray(0, 1000), Buffer.from('something new'), boot.subarray(1000)])
  const changedBoot = changed.subarray(0, 2 * blockBytes + 5000)
  const holes = Buffer.alloc(2 * blockBytes)
  const data = Buffer.concat([head, changedBoot, holes, rootfs.subarray(0, 2 * blockBytes), ...newFrames])
  const rest = Buffer.alloc(-data.byteLength & 4095, 'x')
  const rootfsAt = head.byteLength + changedBoot.byteLength + holes.byteLength
  const blocks = [0, 1, 2].map((i) =>
    packBlock(changedBoot.subarray(i * blockBytes, (i + 1) * blockBytes), 9),
  )
  const packed = Buffer.concat([head, ...blocks, rootfs.subarray(0, 2 * blockBytes), ...newFrames, rest])
  const packedRest = Buffer.alloc(-packed.byteLength & 4095, 'y')
  const innerTree = treeOf(rootfs.subarray(0, 2 * blockBytes), salt)
  const beforeTree = Buffer.concat([packed, packedRest])
  const outerTree = treeOf(beforeTree, salt)
  const bundle = Buffer.concat([beforeTree, innerTree, outerTree, Buffer.from('signed')])
  const sources = [boot, rootfs]
  const tail = Buffer.concat([rest, packedRest])
  const frames: DeltaFrame[] = [
    { kind: 'as-is', lengthBytes: head.byteLength },
    { kind: 'packed', lengthBytes: changedBoot.byteLength },
    { kind: 'left-out', lengthBytes: holes.byteLength },
    {
      kind: 'as-is',
      lengthBytes:
        2 * blockBytes +
        newFrames.reduce((sum, { byteLength }) => sum + byteLength, 0) +
        tail.byteLength +
        innerTree.byteLength +
        outerTree.byteLength +
        6,
    },
  ]
  const header: DeltaHeader = {
    sources: [
      { name: 'boot', sizeBytes: boot.byteLength, sha256: sha256(boot).toString('hex') },
      { name: 'rootfs', sizeBytes: rootfs.byteLength, sha256: sha256(rootfs).toString('hex') },
    ],
    unpacked: oldFrames.map(({ byteLength }, i) => ({
      source: 1,
      offsetBytes: plainRoot.byteLength + (i === 0 ? 0 : oldFrames[0]!.byteLength),
      lengthBytes: byteLength,
      plainBytes: i === 0 ? oldWords.byteLength : oldStream.byteLength,
    })),
    repackings,
    zstd: process.versions.zstd!,
    result: { sizeBytes: bundle.byteLength, sha256: sha256(bundle).toString('hex') },
    plainBytes: frames.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0),
    packing: { level: 9, blockBytes },
    trees: [
      { of: 'plain', offsetBytes: rootfsAt, lengthBytes: 2 * blockBytes, salt: salt.toString('hex') },
      { of: 'packed', offsetBytes: 0, lengthBytes: beforeTree.byteLength, salt: salt.toString('hex') },
    ],
  }
  const steps: DeltaStep[] = [
    patch(head),
    patch(changedBoot.subarray(0, 9000), [{ source: 0, offsetBytes: 100, lengthBytes: 12_000 }], boot),
    { kind: 'copy', source: 0, offsetBytes: 9000 - 13, lengthBytes: changedBoot.byteLength - 9000 },
    patch(holes),
    { kind: 'copy', source: 1, offsetBytes: 0, lengthBytes: 2 * blockBytes },
    { kind: 'repack', repacking: 0, lengthBytes: newWords.byteLength },
    { kind: 'copy', source: 2, offsetBytes: 0, lengthBytes: 5000 },
    patch(
      newWords.subarray(5000),
      [{ source: 2, offsetBytes: 4000, lengthBytes: 20_000 }],
      Buffer.concat([oldWords, oldStream]),
    ),
    { kind: 'repack', repacking: 1, lengthBytes: newStream.byteLength },
    patch(newStream.subarray(0, 5)),
    { kind: 'copy', source: 2, offsetBytes: oldWords.byteLength, lengthBytes: oldStream.byteLength },
    patch(tail),
    { kind: 'tree', tree: 0 },
    { kind: 'tree', tree: 1 },
    patch(Buffer.from('signed')),
  ]
  return { header, frames, steps, bytes: render(header, frames, steps), sources, bundle }
}

export function render(
  header: DeltaHeader,
  frames: readonly DeltaFrame[],
  steps: readonly DeltaStep[],
): Buffer {
  return Buffer.concat([deltaStart(header, frames), ...steps.map(deltaStep), deltaEnd])
}

export function patch(
  bytes: Uint8Array,
  ranges: Extract<DeltaStep, { kind: 'patch' }>['ranges'] = [],
  source: Uint8Array = new Uint8Array(0),
): DeltaStep {
  const dictionary = Buffer.concat(
    ranges.map(({ offsetBytes, lengthBytes }) => source.subarray(offsetBytes, offsetBytes + lengthBytes)),
  )
  const params = { [constants.ZSTD_c_compressionLevel]: 19 }
  const data = zstdCompressSync(bytes, { params, ...(ranges.length > 0 && { dictionary }) })
  return { kind: 'patch', lengthBytes: bytes.byteLength, ranges, data }
}

export interface Rebuilt {
  readonly bundle: Buffer
  readonly problem: Error | undefined
  readonly writtenBytes: number
  /** The largest piece that was asked for at a time. */
  readonly largestBytes: number
}

/** For tests: as a device does, in memory. */
export async function rebuilt(bytes: Buffer, sources: readonly Buffer[]): Promise<Rebuilt> {
  const pieces: Buffer[] = []
  const unpacked: Buffer[] = []
  let [at, writtenBytes, largestBytes] = [0, 0, 0]
  const problem = await rebuildBundle({
    async next(lengthBytes) {
      largestBytes = Math.max(largestBytes, lengthBytes)
      at += lengthBytes
      if (at > bytes.byteLength) throw new DeltaError('it ends too early')
      return bytes.subarray(at - lengthBytes, at)
    },
    async readSource(source, offsetBytes, into) {
      largestBytes = Math.max(largestBytes, into.byteLength)
      const from = sources[source]
      if (from === undefined || offsetBytes + into.byteLength > from.byteLength) {
        throw new DeltaError('the source ends too early')
      }
      from.copy(into, 0, offsetBytes, offsetBytes + into.byteLength)
    },
    scratch: {
      async append(bytes) {
        unpacked.push(Buffer.from(bytes))
      },
      async read(offsetBytes, into) {
        largestBytes = Math.max(largestBytes, into.byteLength)
        Buffer.concat(unpacked).copy(into, 0, offsetBytes, offsetBytes + into.byteLength)
      },
    },
    async write(written) {
      writtenBytes += written.byteLength
      pieces.push(Buffer.from(written))
    },
  }).then(
    () => undefined,
    (error: Error) => error,
  )
  return { bundle: Buffer.concat(pieces), problem, writtenBytes, largestBytes }
}

/** What can be compressed. */
function words(seed: number, lengthBytes: number): Buffer {
  const random = seeded(seed)
  const list = Array.from({ length: 200 }, (_, i) =>
    sha256(Buffer.from(`${i}`))
      .toString('hex')
      .slice(0, 9),
  )
  let text = ''
  while (text.length < lengthBytes) text += `${list[Math.floor(random() * list.length)]} `
  return Buffer.from(text.slice(0, lengthBytes))
}

function noise(seed: number, lengthBytes: number): Buffer {
  const random = seeded(seed)
  return Buffer.from(Array.from({ length: lengthBytes }, () => Math.floor(random() * 256)))
}

function treeOf(data: Buffer, salt: Buffer): Buffer {
  const tree = new HashTree(data.byteLength, salt)
  tree.update(data)
  return tree.finish().tree
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
