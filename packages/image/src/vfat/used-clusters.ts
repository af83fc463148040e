import { UserError } from '../errors.ts'
import { bootSectorBytes, type Fat16, parseFat16 } from './fat16.ts'

/**
 * Where a freshly made FAT16 image has the contents of its files: one run of clusters, from the first on. Tables, root
 * folder and free space are around it; who puts a file there later changes these, and not the run. undefined: no FAT16,
 * or nothing in it. Pure.
 */
export function usedClusters(
  image: Buffer,
): { readonly offsetBytes: number; readonly lengthBytes: number } | undefined {
  const fat = readFat16(image)
  if (fat === undefined || fat.fileSystemBytes > image.byteLength) return undefined
  const table = image.subarray(fat.tableOffsets[0]!)
  let end = 2
  while (end < fat.clusterCount + 2 && table.readUInt16LE(end * 2) !== 0) end += 1
  return end === 2 ? undefined : { offsetBytes: fat.dataOffset, lengthBytes: (end - 2) * fat.clusterBytes }
}

function readFat16(image: Buffer): Fat16 | undefined {
  try {
    return parseFat16(image.subarray(0, bootSectorBytes), 'the image')
  } catch (error) {
    if (error instanceof UserError) return undefined
    throw error
  }
}
