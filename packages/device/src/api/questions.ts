import { jobIdPattern, reportLimits, uploadBytesMax } from '@atomixos/config/api/index.ts'
import type { FrameLimits } from './frames.ts'

/** What the front may ask of the worker. */
export type Question =
  | { readonly ask: 'state' }
  /** A request to the API, as it came. The worker believes nothing of it. */
  | {
      readonly ask: 'api'
      readonly method: string
      readonly target: string
      readonly mediaType?: string | undefined
      readonly nonce?: string | undefined
      readonly signature?: string | undefined
      readonly claim?: string | undefined
    }
  /** What somebody sent with the boot UI's form. */
  | { readonly ask: 'form'; readonly claim?: string | undefined }
  /** The text that this job of the boot UI has applied. */
  | { readonly ask: 'applied'; readonly id: string }

/** The worker's answer: an HTTP answer but for what belongs to the connection. Its body is JSON, TOML or an archive. */
export interface AnswerHeader {
  readonly status: number
  readonly type: 'application/json' | 'application/toml' | 'application/gzip'
  /** The body comes behind it, in pieces: see chunks.ts. */
  readonly streamed?: true
  readonly location?: string | undefined
  readonly allow?: string | undefined
  readonly retryAfterS?: number | undefined
}

/** Answers `state`. */
export interface DeviceState {
  readonly version: string
  /** A configuration is there, or on its way back. */
  readonly provisioned: boolean
  /** `/data` is not there: nothing can be said, and nothing be done. */
  readonly dataUnavailable: boolean
  /** `unknown`: the boot partition could not be read. */
  readonly claimCode: 'none' | 'needed' | 'unknown'
  /** The gateway's address in the LAN. */
  readonly lanAddress: string
  /** By which the gateway is known in the LAN. */
  readonly names: readonly string[]
  readonly busy: boolean
}

export const questionLimits: FrameLimits = {
  headerBytesMax: 32 * 1024,
  bodyBytesMax: uploadBytesMax,
  timeoutMs: 60_000,
}

export const answerLimits: FrameLimits = {
  headerBytesMax: 8 * 1024,
  bodyBytesMax: 16 * 1024 * 1024,
  // Checking a bundle, starting a job and making a report may take their time on a busy device.
  timeoutMs: reportLimits.firstMs + 10_000,
  streams: true,
}

const textMax = {
  method: 16,
  target: 4096,
  mediaType: 256,
  nonce: 256,
  signature: 16_384,
  claim: 256,
} as const

/** The question, or undefined for anything else: whoever has taken over the front can send what he likes. Pure. */
export function parseQuestion(value: unknown): Question | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const question = value as Readonly<Record<string, unknown>>
  const has = (name: keyof typeof textMax, needed = false): boolean => {
    const member = question[name]
    return member === undefined ? !needed : typeof member === 'string' && member.length <= textMax[name]
  }
  const only = (...names: readonly string[]): boolean =>
    Object.keys(question).every((name) => name === 'ask' || names.includes(name))
  switch (question['ask']) {
    case 'state':
      return only() ? (question as Question) : undefined
    case 'form':
      return only('claim') && has('claim') ? (question as Question) : undefined
    case 'applied': {
      const { id } = question
      const good = typeof id === 'string' && new RegExp(jobIdPattern).test(id)
      return only('id') && good ? (question as Question) : undefined
    }
    case 'api': {
      const names = ['mediaType', 'nonce', 'signature', 'claim'] as const
      const good = has('method', true) && has('target', true) && names.every((name) => has(name))
      return only('method', 'target', ...names) && good ? (question as Question) : undefined
    }
    default:
      return undefined
  }
}
