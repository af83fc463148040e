import {
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRange,
  type DeltaStep,
  deltaVersion,
  frameBytes,
  frameKinds,
  magic,
  patchHeadBytes,
  preambleBytes,
  rangeBytes,
  repackBytes,
  stepCodes,
} from './format.ts'

/** What a delta begins with; steps follow, then `deltaEnd`. Nothing is checked: whoever reads it does. */
export function deltaStart(header: DeltaHeader, frames: readonly DeltaFrame[]): Buffer {
  const text = Buffer.from(JSON.stringify(headerValue(header)))
  const preamble = Buffer.alloc(preambleBytes)
  preamble.write(magic, 'latin1')
  preamble.writeUInt32LE(deltaVersion, 8)
  preamble.writeUInt32LE(text.byteLength, 12)
  preamble.writeUInt32LE(frames.length, 16)
  const table = Buffer.alloc(frames.length * frameBytes)
  for (const [index, { kind, lengthBytes }] of frames.entries()) {
    table.writeUInt8(frameKinds.indexOf(kind), index * frameBytes)
    table.writeUInt32LE(lengthBytes, index * frameBytes + 1)
  }
  return Buffer.concat([preamble, text, table])
}

export function deltaStep(step: DeltaStep): Buffer {
  switch (step.kind) {
    case 'copy':
      return Buffer.concat([Buffer.from([stepCodes.copy]), rangeRecord(step)])
    case 'patch': {
      const { ranges, lengthBytes, data } = step
      const head = Buffer.alloc(1 + patchHeadBytes)
      head.writeUInt8(stepCodes.patch)
      head.writeUInt32LE(lengthBytes, 1)
      head.writeUInt32LE(data.byteLength, 5)
      head.writeUInt8(ranges.length, 9)
      return Buffer.concat([head, ...ranges.map(rangeRecord), data])
    }
    case 'tree':
      return Buffer.from([stepCodes.tree, step.tree])
    case 'repack': {
      const record = Buffer.alloc(1 + repackBytes)
      record.writeUInt8(stepCodes.repack)
      record.writeUInt8(step.repacking, 1)
      record.writeUInt32LE(step.lengthBytes, 2)
      return record
    }
  }
}

export const deltaEnd = Buffer.from([stepCodes.end])

function rangeRecord({ source, offsetBytes, lengthBytes }: DeltaRange): Buffer {
  const record = Buffer.alloc(rangeBytes)
  record.writeUInt8(source)
  record.writeUInt32LE(offsetBytes, 1)
  record.writeUInt32LE(lengthBytes, 5)
  return record
}

function headerValue({
  sources,
  unpacked,
  repackings,
  zstd,
  result,
  plainBytes,
  packing,
  trees,
}: DeltaHeader) {
  return {
    sources: sources.map(({ name, sizeBytes, sha256 }) => ({ name, size: sizeBytes, sha256 })),
    unpacked: unpacked.map(({ source, offsetBytes, lengthBytes, plainBytes: plain }) => [
      ...[source, offsetBytes, lengthBytes, plain],
    ]),
    ...{ repackings, zstd },
    result: { size: result.sizeBytes, sha256: result.sha256 },
    plain: plainBytes,
    packing: { level: packing.level, block: packing.blockBytes },
    trees: trees.map(({ of, offsetBytes, lengthBytes, salt }) => ({
      ...{ of, salt },
      ...{ offset: offsetBytes, length: lengthBytes },
    })),
  }
}
