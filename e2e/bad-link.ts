import type { ServerResponse } from 'node:http'
import type { Answer } from './update-server.ts'

/** A link that brings so much in a second, and ends each connection after that time. */
export interface BadLink {
  readonly bytesPerS: number
  readonly cutAfterMs: number
  /** Told each time that a connection was cut; how many there were so far. */
  readonly onCut: (count: number) => void
}

/** What was asked for and sent. */
export interface LinkCount {
  /** Of the file; all that left this process, whether it arrived or not. */
  sentBytes: number
  cuts: number
  /** First byte of each answer. */
  readonly starts: number[]
}

const stepMs = 100

/** One file as a good server hands it out, with ranges and a strong validator, behind a bad link. */
export function serveOverBadLink(file: Buffer, link: BadLink): { answer: Answer; count: LinkCount } {
  const etag = `"${file.byteLength.toString(16)}"`
  const count: LinkCount = { sentBytes: 0, cuts: 0, starts: [] }
  const answer: Answer = (request, response) => {
    const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
    const start = asked !== undefined && request.headers['if-range'] === etag ? Number(asked) : 0
    const rest = file.subarray(start)
    count.starts.push(start)
    response.writeHead(start > 0 ? 206 : 200, {
      ...{ etag, 'accept-ranges': 'bytes', 'content-length': rest.byteLength },
      ...(start > 0 && { 'content-range': `bytes ${start}-${file.byteLength - 1}/${file.byteLength}` }),
    })
    const stop = sendSlowly(rest, response, { ...link, onSent: (bytes) => (count.sentBytes += bytes) })
    const cut = setTimeout(() => {
      count.cuts += 1
      response.destroy()
      link.onCut(count.cuts)
    }, link.cutAfterMs)
    response.once('close', () => {
      clearTimeout(cut)
      stop()
    })
  }
  return { answer, count }
}

/** Never more than a step's bytes wait in this process: what it counts is what the link was given. */
function sendSlowly(
  bytes: Buffer,
  response: ServerResponse,
  { bytesPerS, onSent }: { readonly bytesPerS: number; readonly onSent: (bytes: number) => void },
): () => void {
  const stepBytes = Math.ceil((bytesPerS * stepMs) / 1000)
  let at = 0
  let waiting = false
  const timer = setInterval(() => {
    if (waiting) return
    const step = bytes.subarray(at, at + stepBytes)
    at += step.byteLength
    waiting = true
    response.write(step, (error) => {
      waiting = false
      if (error) return
      onSent(step.byteLength)
      if (at < bytes.byteLength) return
      clearInterval(timer)
      response.end()
    })
  }, stepMs)
  return () => clearInterval(timer)
}
