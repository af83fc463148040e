import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Refusal, refusal, tooLarge } from './check-request.ts'

/** Bytes of bodies that may be on their way in at a time, of all together and of one address. */
export interface BodyBudget {
  readonly totalMax: number
  readonly perAddressMax: number
}

export type ReadBody = (
  request: IncomingMessage,
  response: ServerResponse,
  bytesMax: number,
) => Promise<Buffer | Refusal>

/** Nobody can fill the memory by sending much, or in many connections, and keep it full by sending slowly. */
export function createBodyReader({ totalMax, perAddressMax }: BodyBudget): ReadBody {
  let total = 0
  const perAddress = new Map<string, number>()

  const take = (address: string, bytes: number): boolean => {
    const own = (perAddress.get(address) ?? 0) + bytes
    if (own > perAddressMax || total + bytes > totalMax) return false
    total += bytes
    perAddress.set(address, own)
    return true
  }
  const giveBack = (address: string, bytes: number): void => {
    total -= bytes
    const own = perAddress.get(address)! - bytes
    if (own === 0) perAddress.delete(address)
    else perAddress.set(address, own)
  }

  return async (request, response, bytesMax) => {
    const announced = Number(request.headers['content-length'] ?? 0)
    if (announced > bytesMax) return tooLarge(bytesMax)
    const address = request.socket.remoteAddress ?? ''
    const chunks: Buffer[] = []
    let held = 0
    // It is held until it has been answered, or whoever has sent it is gone.
    response.once('close', () => {
      if (held > 0) giveBack(address, held)
    })
    if (request.headers.expect !== undefined) response.writeContinue()
    for await (const chunk of request as AsyncIterable<Buffer>) {
      if (held + chunk.length > bytesMax) return tooLarge(bytesMax)
      if (response.closed || !take(address, chunk.length)) {
        return { ...refusal(503, 'too much is being sent at a time', 'try again'), retryAfterS: 5 }
      }
      held += chunk.length
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  }
}
