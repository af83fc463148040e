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
/** Between two pieces of what is long. */
const pieceTimeoutMs = 60_000

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
  askSigned<T>(request: DeviceRequest): Promise<T> {
    return this.withKey(async (key) => (await this.send(request, await this.signatureOf(request, key))) as T)
  }

  /**
   * With one: what is no JSON, as it comes. Throws DeviceRefused and DeviceSilent, and DeviceSilent as well when it ends
   * before its end or nothing comes for a minute.
   */
  downloadSigned(request: DeviceRequest, firstMs: number): Promise<AsyncIterable<Uint8Array>> {
    return this.withKey(async (key) => {
      const more = await this.signatureOf(request, key)
      const silent = new AbortController()
      const waitMax = (ms: number) =>
        setTimeout(() => silent.abort(new DOMException('nothing came', 'TimeoutError')), ms)
      const timer = waitMax(firstMs)
      let response: Response
      try {
        response = await this.fetch(request, more, AbortSignal.any([this.signal, silent.signal]))
        if (!response.ok) throw this.refused(response, await response.text())
      } finally {
        clearTimeout(timer)
      }
      return this.bodyOf(response, waitMax)
    })
  }

  private async *bodyOf(
    { body }: Response,
    waitMax: (ms: number) => NodeJS.Timeout,
  ): AsyncGenerator<Uint8Array> {
    let timer = waitMax(pieceTimeoutMs)
    try {
      for await (const bytes of body ?? []) {
        clearTimeout(timer)
        yield bytes
        timer = waitMax(pieceTimeoutMs)
      }
    } catch (error) {
      this.signal.throwIfAborted()
      throw new DeviceSilent(reasonOf(error as Error), { cause: error })
    } finally {
      clearTimeout(timer)
    }
  }

  private async withKey<T>(ask: (key: SigningKey) => Promise<T>): Promise<T> {
    const keys = this.key === undefined ? await this.findKeys() : [this.key]
    let refused: DeviceRefused | undefined
    for (const key of keys) {
      try {
        const answer = await ask(key)
        this.key = key
        return answer
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
    const timeoutMs = request.body === undefined ? answerTimeoutMs : sendTimeoutMs
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(timeoutMs)])
    const response = await this.fetch(request, more, signal)
    let text: string
    try {
      text = await response.text()
    } catch (error) {
      this.signal.throwIfAborted()
      throw new DeviceSilent(reasonOf(error as Error), { cause: error })
    }
    if (!response.ok) throw this.refused(response, text)
    return this.parse(response, text)
  }

  private async fetch(
    { method = 'GET', path, body, mediaType, claim }: DeviceRequest,
    more: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Response> {
    try {
      return await fetch(`${this.address}${path}`, {
        method,
        redirect: 'error',
        headers: {
          ...more,
          ...(mediaType !== undefined && { 'Content-Type': mediaType }),
          ...(claim !== undefined && { [apiHeaders.claim]: claim }),
        },
        ...(body !== undefined && { body: new Uint8Array(body) }),
        signal,
      })
    } catch (error) {
      this.signal.throwIfAborted()
      throw new DeviceSilent(reasonOf(error as Error), { cause: error })
    }
  }

  private parse(response: Response, text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      throw new UserError(
        `${this.address} answers, but not like an AtomixOS device (status ${response.status})`,
        {
          hint: 'look at the address',
        },
      )
    }
  }

  private refused(response: Response, text: string): DeviceRefused {
    const document = this.parse(response, text) as Partial<ErrorDocument>
    const { error } = document
    return new DeviceRefused(response.status, {
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
