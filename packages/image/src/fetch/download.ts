import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserError } from '../errors.ts'
import { diskError } from './disk-error.ts'

export interface Download {
  /** Tried in order; the next one only when a file is not there. */
  readonly addresses: readonly string[]
  /** Final name. What is there is right: size and hash are checked before a file gets this name. */
  readonly path: string
  /** undefined: not known beforehand. */
  readonly sizeBytes: number | undefined
  readonly sha256: string | undefined
  /** How messages name it. */
  readonly title: string
}

export interface DownloadOptions {
  readonly signal: AbortSignal
  /** Bytes that came to the file since the last call; negative when some were thrown away. */
  readonly onBytes?: (count: number) => void
  /** Tries that bring nothing new before giving up, and the pause before the first retry. */
  readonly triesMax?: number
  readonly pauseMs?: number
  /** A connection that brings nothing for so long is cut. */
  readonly stallMs?: number
}

/** The server says that there is no such file, at any of the addresses. */
export class FileNotThere extends UserError {}

/** A failure that another try may get round. */
class Interrupted extends Error {}

/**
 * Brings one file, going on where an earlier try stopped (`PATH.part`), and verifies it. Whatever fails, no
 * file that is not right gets the final name. Throws UserError.
 */
export async function download(file: Download, options: DownloadOptions): Promise<void> {
  const { signal, triesMax = 5, pauseMs = 500 } = options
  const partial = `${file.path}.part`
  try {
    await mkdir(dirname(file.path), { recursive: true })
    options.onBytes?.(await sizeOf(partial))
    let fruitless = 0
    let wrongOnce = false
    for (;;) {
      const before = await sizeOf(partial)
      try {
        const hash = await fetchFromAny(file, partial, options)
        if (await verified(file, partial, hash, options)) return
        // A leftover of an earlier run may have been at fault: once more from the start, then believe it.
        if (wrongOnce || before === 0) throw wrongContent(file)
        wrongOnce = true
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof Interrupted)) throw error
        fruitless = (await sizeOf(partial)) > before ? 1 : fruitless + 1
        if (fruitless >= triesMax) {
          throw new UserError(`${file.title} could not be fetched: ${error.message}`, {
            hint: 'check the connection and run the command again: it goes on where it stopped',
            cause: error,
          })
        }
        await sleep(pauseMs * 2 ** (fruitless - 1), undefined, { signal })
      }
    }
  } catch (error) {
    signal.throwIfAborted()
    throw diskError(error, dirname(file.path)) ?? error
  }
}

async function fetchFromAny(file: Download, partial: string, options: DownloadOptions): Promise<Hash> {
  for (const address of file.addresses) {
    const hash = await fetchInto(file, address, partial, options)
    if (hash !== 'not there') return hash
  }
  const asked = file.addresses.map((address) => `  ${address}`).join('\n')
  throw new FileNotThere(`${file.title} is not on the mirror (404):\n${asked}`, {
    hint: 'choose another mirror with ATOMIXOS_DEBIAN_MIRROR, or run `./atomixos lock`',
  })
}

/** Completes `partial` from one address; the hash is over the whole of it. */
async function fetchInto(
  file: Download,
  address: string,
  partial: string,
  options: DownloadOptions,
): Promise<Hash | 'not there'> {
  const have = await sizeOf(partial)
  if (file.sizeBytes !== undefined && have === file.sizeBytes) return hashFile(partial)
  if (file.sizeBytes !== undefined && have > file.sizeBytes) await discard(partial, have, options)
  const start = file.sizeBytes !== undefined && have > file.sizeBytes ? 0 : have
  const watchdog = new AbortController()
  let timer = setTimeout(() => watchdog.abort(), options.stallMs ?? 30_000)
  try {
    const response = await fetch(address, {
      headers: start > 0 ? { range: `bytes=${start}-` } : {},
      signal: AbortSignal.any([options.signal, watchdog.signal]),
    })
    if (response.status === 404 || response.status === 410) return 'not there'
    if (response.status === 416) {
      // Longer than what the server has: not ours. The next try begins anew.
      await discard(partial, start, options)
      throw new Interrupted('the server has less than was already fetched')
    }
    if (response.status !== 200 && response.status !== 206) {
      const message = `${address} answered ${response.status} ${response.statusText}`.trim()
      if (response.status >= 500 || response.status === 429) throw new Interrupted(message)
      throw new UserError(`${file.title} could not be fetched: ${message}`)
    }
    const goesOn = response.status === 206
    if (start > 0 && !goesOn) options.onBytes?.(-start)
    const hash = goesOn && start > 0 ? await hashFile(partial) : createHash('sha256')
    const target = await open(partial, goesOn ? 'a' : 'w', 0o644)
    try {
      let length = goesOn ? start : 0
      for await (const chunk of response.body!) {
        clearTimeout(timer)
        timer = setTimeout(() => watchdog.abort(), options.stallMs ?? 30_000)
        length += chunk.length
        // Someone's endless page must not fill the disk; the verification refuses what we have.
        if (file.sizeBytes !== undefined && length > file.sizeBytes) throw wrongContent(file)
        hash.update(chunk)
        await target.write(chunk)
        options.onBytes?.(chunk.length)
      }
      if (file.sizeBytes !== undefined && length < file.sizeBytes) {
        // Where the server announced an end, this was it, and fetch would have noticed a cut: another file.
        if (response.headers.has('content-length') || response.headers.has('transfer-encoding')) {
          throw wrongContent(file)
        }
        throw new Interrupted(`the connection ended after ${length} of ${file.sizeBytes} bytes`)
      }
    } catch (error) {
      if (error instanceof UserError) await rm(partial, { force: true })
      throw error
    } finally {
      await target.close()
    }
    return hash
  } catch (error) {
    options.signal.throwIfAborted()
    if (watchdog.signal.aborted) throw new Interrupted('the server stopped sending', { cause: error })
    // fetch reports every network failure as a TypeError with the reason in its cause.
    if (error instanceof TypeError) throw new Interrupted(reasonOf(error), { cause: error })
    throw error
  } finally {
    clearTimeout(timer)
  }
}

async function verified(
  file: Download,
  partial: string,
  hash: Hash,
  options: DownloadOptions,
): Promise<boolean> {
  const size = await sizeOf(partial)
  const right =
    (file.sizeBytes === undefined || size === file.sizeBytes) &&
    (file.sha256 === undefined || hash.digest('hex') === file.sha256)
  if (right) await rename(partial, file.path)
  else await discard(partial, size, options)
  return right
}

async function discard(partial: string, size: number, options: DownloadOptions): Promise<void> {
  await rm(partial, { force: true })
  options.onBytes?.(-size)
}

function wrongContent(file: Download): UserError {
  return new UserError(`${file.title} has the wrong content: its hash or size is not the expected one`, {
    hint: `the mirror or something on the way to it is broken; choose another one with ATOMIXOS_DEBIAN_MIRROR\n  asked: ${file.addresses[0]}`,
  })
}

async function hashFile(path: string): Promise<Hash> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

function reasonOf(error: Error): string {
  const cause = error.cause as (Error & { code?: string }) | undefined
  return cause?.message || cause?.code || error.message
}
