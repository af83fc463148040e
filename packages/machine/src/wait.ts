/**
 * Every wait has a name, a deadline and a last look at what was really there, and ends early when it can't come
 * true any more. The body of a wait polls or listens as it likes; this is the frame around it.
 */
import { indent, messageOf, seconds, WaitError } from './errors.ts'
import type { WaitOptions } from './types.ts'

export interface WaitFrame {
  /** Whose wait: `gateway`. */
  readonly subject: string
  /** What is waited for, to be read after `waiting for`: `unit sshd.service to be active`. */
  readonly what: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Calls back, at once or later, when the wait can't come true any more. Returns how to stop listening. */
  readonly onImpossible: (tell: (why: string) => void) => () => void
  /** What is really there, asked when time is up; may fail, may take its time up to a limit. */
  readonly lastLook?: (() => Promise<string>) | undefined
  /** Appended to the error: console tail and log paths. */
  readonly report: () => string
}

export interface Progress {
  /** Aborted when the wait is over for any reason. */
  readonly signal: AbortSignal
  remainingMs(): number
}

const lastLookLimitMs = 20_000

export async function waitFor<T>(frame: WaitFrame, body: (progress: Progress) => Promise<T>): Promise<T> {
  const started = Date.now()
  const over = new AbortController()
  const outcome = Promise.withResolvers<never>()
  outcome.promise.catch(() => {})

  const give = (reason: WaitError['reason'], why: string, look = '') => {
    const waited = `${seconds(Date.now() - started)} of ${seconds(frame.timeoutMs)}`
    const parts = [
      `${frame.subject}: waiting for ${frame.what}: ${why} (waited ${waited})`,
      look === '' ? '' : indent(look),
      frame.report(),
    ]
    outcome.reject(new WaitError(parts.filter((part) => part !== '').join('\n'), reason))
    over.abort(new Error(why))
  }
  const stopListening = frame.onImpossible((why) => give('impossible', why))
  const aborted = () => give('aborted', `given up: ${messageOf(frame.signal?.reason)}`)
  frame.signal?.addEventListener('abort', aborted, { once: true })
  if (frame.signal?.aborted) aborted()
  const timer = setTimeout(async () => {
    const look = await lookWithin(frame.lastLook, lastLookLimitMs)
    give('timeout', 'time is up', look)
  }, frame.timeoutMs)
  try {
    return await Promise.race([
      outcome.promise,
      body({ signal: over.signal, remainingMs: () => started + frame.timeoutMs - Date.now() }),
    ])
  } catch (error) {
    if (!(error instanceof Impossible)) throw error
    give('impossible', error.message, error.look)
    return await outcome.promise
  } finally {
    clearTimeout(timer)
    stopListening()
    frame.signal?.removeEventListener('abort', aborted)
    over.abort(new Error('the wait is over'))
  }
}

/** Thrown by the body of a wait that has seen that it can't come true. */
export class Impossible extends Error {
  readonly look: string
  constructor(why: string, look = '') {
    super(why)
    this.look = look
  }
}

async function lookWithin(look: WaitFrame['lastLook'], limitMs: number): Promise<string> {
  if (look === undefined) return ''
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('(a last look got no answer)'), limitMs)
  })
  try {
    return await Promise.race([look(), limit])
  } catch (error) {
    return `(a last look failed: ${messageOf(error).split('\n')[0]})`
  } finally {
    clearTimeout(timer)
  }
}

export type Timing = Pick<WaitOptions, 'timeoutMs' | 'panics' | 'signal'>
