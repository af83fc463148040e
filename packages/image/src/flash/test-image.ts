import { open, readFile } from 'node:fs/promises'
import { MiB } from '@atomixos/config'
import { encodeGpt, type Gpt } from '../disk/gpt.ts'
import { imageGpt } from '../disk/write-disk.ts'
import type { TestInputs } from '../kernel/test-inputs.ts'
import { buildBootSlot } from '../vfat/boot-slot.ts'

/** For tests: the table of the product on a disk that is quickly written, slot A of `slotMiB` and a small root. */
export function testGpt(slotMiB: number, rootMiB: number): Gpt {
  const sizes = [slotMiB, rootMiB]
  let offset = 2
  return {
    ...imageGpt('rock64'),
    diskBytes: (2 + slotMiB + rootMiB + 1) * MiB,
    firstUsableBytes: 2 * MiB,
    partitions: imageGpt('rock64').partitions.map((partition, n) => {
      const offsetBytes = offset * MiB
      offset += sizes[n]!
      return { ...partition, offsetBytes, sizeBytes: sizes[n]! * MiB }
    }),
  }
}

/** For tests: an image with a real boot slot, and a root file system of bytes that are not zero. */
export async function writeTestImage(path: string, given: TestInputs, rootMiB: number): Promise<Gpt> {
  const files = new Map([['boot.scr', { kind: 'bytes', bytes: Buffer.from('script') } as const]])
  const slot = await buildBootSlot({ files, sourceDateEpoch: 1_700_000_000 }, given)
  const gpt = testGpt(36, rootMiB)
  const { primary, backup } = encodeGpt(gpt)
  await using file = await open(path, 'w')
  await file.truncate(gpt.diskBytes)
  const write = (bytes: Uint8Array, position: number) => file.write(bytes, 0, bytes.byteLength, position)
  await write(primary, 0)
  await write(Buffer.from('boot loader'), 64 * 512)
  await write(await readFile(slot.path), gpt.partitions[0]!.offsetBytes)
  const piece = Buffer.alloc(MiB, 'root file system ')
  for (let n = 0; n < rootMiB; n += 1) await write(piece, gpt.partitions[1]!.offsetBytes + n * MiB)
  await write(backup, gpt.diskBytes - backup.byteLength)
  return gpt
}
