import { createHash } from 'node:crypto'
import { apiPort } from '@atomixos/config'
import {
  apiHeaders,
  type ErrorDocument,
  type HealthDocument,
  type NonceDocument,
  signedText,
} from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { describeKey, type SigningKey, sign } from './sign-request.ts'

export interface DeviceRequest {
  readonly method?: 'GET' | 'POST'
  /** With the query. */
  readonly path: string
  readonly body?: Buffer
  readonly mediaType?: string
  readonly claim?: string | undefined
}

/** The device has said no. */
export class DeviceRefused extends Error {
  override readonly name = 'DeviceRefused'
  readonly status: number
  readonly document: ErrorDocument

  constructor(status: number, document: ErrorDocument) {
    super(document.error)
    this.status = status
    this.document = document
  }
}

/** Nothing came back from it. */
export class DeviceSilent extends Error {
  override readonly name = 'DeviceSilent'
}

const answerTimeoutMs = 30_000
/** Sending 32 MiB over a slow line takes its time. */
const sendTimeoutMs = 300_000

/** Asks one device, with an administrator's signature where one is needed. */
export class DeviceClient {
  readonly address: string
  private readonly findKeys: () => Promise<readonly SigningKey[]>
  private readonly signal: AbortSignal
  /** The one that the device has accepted. */
  private key: SigningKey | undefined

  /** `host`: an address or name, with or without port. `keys` is asked when the first signature is needed. */
  constructor(host: string, keys: () => Promise<readonly SigningKey[]>, signal: AbortSignal) {
    this.address = parseHost(host)
    this.findKeys = keys
    this.signal = signal
  }

  health(): Promise<HealthDocument> {
    return this.ask<HealthDocument>({ path: '/api/health' })
  }

  /** Without a signature. Throws DeviceRefused and DeviceSilent. */
  async ask<T>(request: DeviceRequest): Promise<T> {
    return (await this.send(request, {})) as T
  }

  /** With one. Of several keys the first that is an administrator's is used, and kept. */
  async askSigned<T>(request: DeviceRequest): Promise<T> {
    const keys = this.key === undefined ? await this.findKeys() : [this.key]
    let refused: DeviceRefused | undefined
    for (const key of keys) {
      try {
        const answer = await this.send(request, await this.signatureOf(request, key))
        this.key = key
        return answer as T
      } catch (error) {
        if (!(error instanceof DeviceRefused) || error.status !== 401) throw error
        refused = error
      }
    }
    throw new UserError(`${this.address} does not take the signature: ${refused!.message}`, {
      hint: `signed with ${keys.map(describeKey).join(', then ')}; name an administrator's key with --key FILE`,
    })
  }

  private async signatureOf({ path, body }: DeviceRequest, key: SigningKey): Promise<Record<string, string>> {
    const { nonce } = await this.ask<NonceDocument>({ path: '/api/nonce' })
    const bodySha256 = createHash('sha256')
      .update(body ?? '')
      .digest('hex')
    const signature = await sign(signedText({ nonce, path, bodySha256 }), key, this.signal)
    return { [apiHeaders.nonce]: nonce, [apiHeaders.signature]: signature }
  }

  private async send(request: DeviceRequest, more: Record<string, string>): Promise<unknown> {
    const { method = 'GET', path, body, mediaType, claim } = request
    const timeoutMs = body === undefined ? answerTimeoutMs : sendTimeoutMs
    let response: Response
    let text: string
    try {
      response = await fetch(`${this.address}${path}`, {
        method,
        redirect: 'error',
        headers: {
          ...more,
          ...(mediaType !== undefined && { 'Content-Type': mediaType }),
          ...(claim !== undefined && { [apiHeaders.claim]: claim }),
        },
        ...(body !== undefined && { body: new Uint8Array(body) }),
        signal: AbortSignal.any([this.signal, AbortSignal.timeout(timeoutMs)]),
      })
      text = await response.text()
    } catch (error) {
      this.signal.throwIfAborted()
      throw new DeviceSilent(reasonOf(error as Error), { cause: error })
    }
    let document: unknown
    try {
      document = JSON.parse(text)
    } catch {
      throw new UserError(
        `${this.address} answers, but not like an AtomixOS device (status ${response.status})`,
        {
          hint: 'look at the address',
        },
      )
    }
    if (response.ok) return document
    const { error } = document as Partial<ErrorDocument>
    throw new DeviceRefused(response.status, {
      ...(document as ErrorDocument),
      error: typeof error === 'string' ? error : `status ${response.status}`,
    })
  }
}

/** The base of its URLs. Throws UserError. */
export function parseHost(host: string): string {
  const found = /^(?:http:\/\/)?([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?\/?$/.exec(host)
  if (found === null) {
    throw new UserError(`"${host}" is not the address of a device`, {
      hint: 'such as 172.20.30.1 or 172.20.30.1:8080',
      exitCode: 2,
    })
  }
  return `http://${found[1]}:${found[2] ?? apiPort}`
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return 'it has not answered in time'
  const { cause } = error
  return cause instanceof Error
    ? cause.message || (cause as NodeJS.ErrnoException).code || error.message
    : error.message
}
