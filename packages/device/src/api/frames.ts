import type { Socket } from 'node:net'

/**
 * One message of front and worker: two lengths of four bytes each, a JSON header, a body of bytes. One question and one
 * answer a connection.
 */
export interface Frame {
  readonly header: unknown
  readonly body: Buffer
}

export interface FrameLimits {
  readonly headerBytesMax: number
  readonly bodyBytesMax: number
  readonly timeoutMs: number
  /** What comes behind a header that says `streamed` is left to be read. Left out: nothing may come. */
  readonly streams?: boolean
}

/** What came is no message, or too large, or too slow. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

const lengthsBytes = 8

export function writeFrame(socket: Socket, header: unknown, body: Uint8Array = Buffer.alloc(0)): void {
  const text = Buffer.from(JSON.stringify(header))
  const lengths = Buffer.alloc(lengthsBytes)
  lengths.writeUInt32BE(text.length, 0)
  lengths.writeUInt32BE(body.length, 4)
  socket.write(Buffer.concat([lengths, text]))
  if (body.length > 0) socket.write(body)
}

/** The next message. Rejects with FrameError; what is longer than it says is refused as well. */
export function readFrame(
  socket: Socket,
  { headerBytesMax, bodyBytesMax, timeoutMs, streams = false }: FrameLimits,
): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let received = 0
    let wanted = lengthsBytes
    let lengths: { readonly header: number; readonly body: number } | undefined
    const timer = setTimeout(() => refuse(`nothing whole came within ${timeoutMs / 1000} s`), timeoutMs)

    function end(): void {
      clearTimeout(timer)
      socket.off('data', take)
      socket.off('end', cutOff)
      socket.off('close', cutOff)
      socket.off('error', failed)
    }
    function refuse(message: string): void {
      end()
      reject(new FrameError(message))
    }
    function cutOff(): void {
      refuse('the message is cut off')
    }
    function failed(error: Error): void {
      refuse(error.message)
    }
    function take(chunk: Buffer): void {
      chunks.push(chunk)
      received += chunk.length
      if (lengths === undefined && received >= lengthsBytes) {
        const start = Buffer.concat(chunks, lengthsBytes)
        lengths = { header: start.readUInt32BE(0), body: start.readUInt32BE(4) }
        if (lengths.header > headerBytesMax || lengths.body > bodyBytesMax) {
          refuse('the message is too large')
          return
        }
        wanted = lengthsBytes + lengths.header + lengths.body
      }
      if (received >= wanted && lengths !== undefined) finish(lengths.header)
    }
    function finish(headerBytes: number): void {
      const bytes = Buffer.concat(chunks)
      const bodyStart = lengthsBytes + headerBytes
      let header: unknown
      try {
        header = JSON.parse(bytes.toString('utf8', lengthsBytes, bodyStart))
      } catch {
        refuse('the header is not JSON')
        return
      }
      const isStream = streams && (header as { streamed?: unknown } | null)?.streamed === true
      if (received > wanted && !isStream) {
        refuse('the message is longer than it says')
        return
      }
      end()
      if (isStream) {
        // Nothing may get lost until somebody reads on.
        socket.pause()
        if (received > wanted) socket.unshift(bytes.subarray(wanted))
      }
      resolve({ header, body: bytes.subarray(bodyStart, wanted) })
    }
    socket.on('data', take)
    socket.on('end', cutOff)
    socket.on('close', cutOff)
    socket.on('error', failed)
  })
}
