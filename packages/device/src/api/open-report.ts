import { connect } from 'node:net'
import { reportLimits } from '@atomixos/config/api/index.ts'
import { Unavailable } from './back.ts'

/**
 * The report that whoever connects to this socket is sent: its program needs more rights than the worker has. Resolves
 * with its first bytes; what fails later ends the stream with an error.
 */
export async function openReport(
  path: string,
  { firstMs, totalMs, bytesMax }: { [name in keyof typeof reportLimits]: number } = reportLimits,
): Promise<AsyncIterable<Buffer>> {
  const socket = connect({ path })
  socket.on('error', () => {})
  const timer = setTimeout(() => socket.destroy(new Error(`no report within ${firstMs / 1000} s`)), firstMs)
  const bytes: AsyncIterator<Buffer> = socket[Symbol.asyncIterator]()
  let first: IteratorResult<Buffer>
  try {
    first = await bytes.next()
    if (first.done) throw new Error('it ended before it began: another one may be in the making')
  } catch (cause) {
    socket.destroy()
    throw new Unavailable(`the report could not be made: ${(cause as Error).message}`, { cause })
  } finally {
    clearTimeout(timer)
  }
  return following(first)

  async function* following(start: IteratorResult<Buffer>): AsyncGenerator<Buffer> {
    const slow = setTimeout(() => socket.destroy(new Error(`no end within ${totalMs / 1000} s`)), totalMs)
    let total = 0
    try {
      for (let next = start; !next.done; next = await bytes.next()) {
        total += next.value.length
        if (total > bytesMax) throw new Error(`the report is larger than ${bytesMax} bytes`)
        yield next.value
      }
    } finally {
      clearTimeout(slow)
      socket.destroy()
    }
  }
}
