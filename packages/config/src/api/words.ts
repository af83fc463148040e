/** What the device's API and its clients have to agree on. docs/api.md is the long form. */

/** Signatures of requests are for this purpose and no other. */
export { signatureNamespace } from '../operator/render-config.ts'

export const apiHeaders = {
  nonce: 'X-AtomixOS-Nonce',
  /** Base64 of the file that `ssh-keygen -Y sign` writes, on one line. */
  signature: 'X-AtomixOS-Signature',
  claim: 'X-AtomixOS-Claim',
} as const

/** How long a nonce is good for. */
export const nonceSeconds = 300

/** Of a config.toml or bundle that is sent. */
export const uploadBytesMax = 32 * 1024 * 1024

/** Of any other body: one user, one container, a change of the network. */
export const jsonBytesMax = 256 * 1024

/** Longest time in which a change can wait for its confirmation. */
export const confirmSecondsMax = 3600

/** What a configuration may be sent as; its kind is told by its content. No form of a web page can send any of these. */
export const configMediaTypes = [
  'application/toml',
  'application/gzip',
  'application/zstd',
  'application/octet-stream',
] as const

export const jobIdPattern = '^[0-9a-f]{16}$'

/** On slot A's boot partition: what somebody has to know who is the first to configure the device over the network. */
export const claimCodeName = 'claim-code'

/** Where the system puts it at its start. Empty: there is none. Not there: nobody knows. */
export const claimCodePath = '/run/atomixos/claim-code'

export interface SignedRequest {
  readonly nonce: string
  /** As it stands in the request's first line, query included. */
  readonly path: string
  /** 64 hex digits; of the empty body as well. */
  readonly bodySha256: string
}

/**
 * The text that is signed. It has no method: every path that takes signatures has a single method with a body and a
 * single one without, and a body where none belongs is refused.
 */
export function signedText({ nonce, path, bodySha256 }: SignedRequest): string {
  return `atomixos-reapply-v1\nnonce:${nonce}\npath:${path}\nsha256:${bodySha256}\n`
}

/** Of a report: how long until its first byte, and all of it; how large it may be, packed. */
export const reportLimits = { firstMs: 120_000, totalMs: 300_000, bytesMax: 32 * 1024 * 1024 } as const

/** The API's two halves: who they are, and where they meet and keep what outlives their processes. In memory. */
export const apiService = {
  account: 'api-front',
  workerSocket: '/run/atomixos/config-worker.sock',
  frontFolder: '/run/api-front',
  workerFolder: '/run/config-worker',
  /** Whoever connects, and that is the worker, is sent a report. */
  reportSocket: '/run/atomixos/support-report.sock',
} as const
