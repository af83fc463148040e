import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { FrameError } from './frames.ts'

/** Bytes of a length that nobody knows at their start: pieces with their length before them, and an empty one as the end. */

export interface ChunkLimits {
  readonly bytesMax: number
  readonly totalMs: number
}

const lengthBytes = 4
const pieceBytesMax = 1024 * 1024

/** Sends all of it. Rejects when the source fails, or the other side goes or stalls: the end is not sent then. */
export async function writeChunks(
  socket: Socket,
  source: AsyncIterable<Uint8Array>,
  { totalMs }: Pick<ChunkLimits, 'totalMs'>,
): Promise<void> {
  const gone = new AbortController()
  const leave = () => gone.abort()
  socket.once('close', leave)
  const timer = setTimeout(() => socket.destroy(), totalMs)
  try {
    for await (const bytes of source) {
      for (let at = 0; at < bytes.length; at += pieceBytesMax) {
        if (socket.destroyed) throw new FrameError('nobody reads on')
        const piece = bytes.subarray(at, at + pieceBytesMax)
        socket.write(lengthOf(piece.length))
        if (!socket.write(piece)) await once(socket, 'drain', { signal: gone.signal })
      }
    }
    socket.write(lengthOf(0))
  } finally {
    clearTimeout(timer)
    socket.off('close', leave)
  }
}

/**
 * What the other side has sent so. Fails with FrameError where it ends before its end, is larger, or takes longer. Its end,
 * however it comes, is the socket's.
 */
export function readChunks(socket: Socket, { bytesMax, totalMs }: ChunkLimits): Readable {
  const stream = Readable.from(pieces(socket, bytesMax), { objectMode: false })
  const timer = setTimeout(() => {
    stream.destroy(new FrameError(`the stream was not over within ${totalMs / 1000} s`))
  }, totalMs)
  stream.once('close', () => {
    clearTimeout(timer)
    socket.destroy()
  })
  return stream
}

async function* pieces(socket: Socket, bytesMax: number): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0)
  let left = bytesMax
  for await (const bytes of socket) {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes])
    while (pending.length >= lengthBytes) {
      const length = pending.readUInt32BE(0)
      if (length === 0) return
      if (length > pieceBytesMax || length > left) throw new FrameError('the stream is too large')
      if (pending.length < lengthBytes + length) break
      yield pending.subarray(lengthBytes, lengthBytes + length)
      left -= length
      pending = pending.subarray(lengthBytes + length)
    }
  }
  throw new FrameError('the stream is cut off')
}

function lengthOf(bytes: number): Buffer {
  const length = Buffer.alloc(lengthBytes)
  length.writeUInt32BE(bytes)
  return length
}
