import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'
import { type DeltaFrame, packBlock } from '@atomixos/config'
import { type PayloadBlock, readPayloadLayout } from '../bundle/payload-layout.ts'

/** A bundle in which compressed blocks of images are plain: what deltas are made between. */
export interface PlainBundle {
  readonly path: string
  readonly sizeBytes: number
  /** Hexadecimal, of the bundle. */
  readonly sha256: string
  readonly bytes: Buffer
  /** How it becomes the bundle again. */
  readonly frames: readonly DeltaFrame[]
  readonly packing: { readonly level: number; readonly blockBytes: number }
  /** Where an image lies in `bytes`. */
  readonly images: readonly PlainImage[]
  /** Whether this program's zstd makes the very same blocks. */
  readonly packsAgain: boolean
}

export interface PlainImage {
  readonly filename: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

/** Reads it into memory. Throws PayloadLayoutError. */
export async function readPlainBundle(path: string): Promise<PlainBundle> {
  const layout = readPayloadLayout(path)
  const file = await readFile(path)
  const pieces: Buffer[] = []
  const frames = new FrameList(layout.blockBytes)
  const images: PlainImage[] = []
  let packsAgain = true
  let diskBytes = 0
  let plainBytes = 0
  const put = (kind: DeltaFrame['kind'], bytes: Buffer) => {
    if (bytes.byteLength === 0) return
    pieces.push(bytes)
    frames.add(kind, bytes.byteLength)
    plainBytes += bytes.byteLength
  }
  for (const { filename, sizeBytes, blocks } of layout.files.toSorted((a, b) => startOf(a) - startOf(b))) {
    const start = startOf({ blocks })
    // Two images of the same contents share their blocks.
    if (start < diskBytes) continue
    put('as-is', file.subarray(diskBytes, start))
    images.push({ filename, offsetBytes: plainBytes, sizeBytes })
    frames.startRun()
    for (const block of blocks) {
      const onDisk = file.subarray(block.offsetBytes, block.offsetBytes + block.diskBytes)
      diskBytes = block.offsetBytes + block.diskBytes
      if (block.kind === 'hole') put('left-out', Buffer.alloc(block.plainBytes))
      else if (block.kind === 'stored') put('as-is', onDisk)
      else {
        const plain = zstdDecompressSync(onDisk, { maxOutputLength: block.plainBytes })
        packsAgain &&= packBlock(plain, layout.level).equals(onDisk)
        put('packed', plain)
      }
    }
    frames.startRun()
  }
  put('as-is', file.subarray(diskBytes))
  return {
    path,
    sizeBytes: file.byteLength,
    sha256: createHash('sha256').update(file).digest('hex'),
    bytes: Buffer.concat(pieces),
    frames: frames.list,
    packing: { level: layout.level, blockBytes: layout.blockBytes },
    images,
    packsAgain,
  }
}

/** Where zstd has changed since: the blocks stay as they are, and the delta is larger for it. */
export async function asItIs(bundle: PlainBundle): Promise<PlainBundle> {
  const bytes = await readFile(bundle.path)
  return {
    ...bundle,
    bytes,
    frames: [{ kind: 'as-is', lengthBytes: bytes.byteLength }],
    images: [],
  }
}

function startOf({ blocks }: { readonly blocks: readonly PayloadBlock[] }): number {
  return blocks.find(({ kind }) => kind !== 'hole')?.offsetBytes ?? Number.MAX_SAFE_INTEGER
}

/** Neighbours of one kind are one frame, as long as that leaves the borders of blocks where they are. */
class FrameList {
  readonly list: DeltaFrame[] = []
  readonly #blockBytes: number
  #newRun = true

  constructor(blockBytes: number) {
    this.#blockBytes = blockBytes
  }

  startRun(): void {
    this.#newRun = true
  }

  add(kind: DeltaFrame['kind'], lengthBytes: number): void {
    const last = this.list.at(-1)
    if (!this.#newRun && last?.kind === kind && last.lengthBytes % this.#blockBytes === 0) {
      this.list[this.list.length - 1] = { kind, lengthBytes: last.lengthBytes + lengthBytes }
    } else this.list.push({ kind, lengthBytes })
    this.#newRun = false
  }
}
