import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readOptional } from '../durable-file.ts'

/** The last channel file that was good, so that the next look need not fetch it again. Kept in memory. */
export interface CachedChannel {
  readonly etag: string
  readonly file: Buffer
}

/** undefined: none, damaged, or of another address. */
export async function readChannelCache(path: string, url: string): Promise<CachedChannel | undefined> {
  try {
    const value = JSON.parse((await readOptional(path)) ?? '') as Partial<Record<string, unknown>>
    const { etag, file } = value
    if (value.url !== url || !isEtag(etag) || typeof file !== 'string') return undefined
    return { etag, file: Buffer.from(file, 'base64') }
  } catch {
    return undefined
  }
}

/** That it can't be written only costs a few kilobytes an hour. */
export async function writeChannelCache(
  path: string,
  { url, etag, file }: { readonly url: string; readonly etag: string | undefined; readonly file: Buffer },
): Promise<void> {
  if (!isEtag(etag)) return
  try {
    await mkdir(dirname(path), { recursive: true })
    const text = JSON.stringify({ url, etag, file: file.toString('base64') })
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  } catch {
    // The next look fetches the file.
  }
}

/** RFC 9110, 8.8.3; a weak one will do: what comes of it is verified as if it had just been fetched. */
function isEtag(value: unknown): value is string {
  return typeof value === 'string' && /^(?:W\/)?"[\x21\x23-\x7e]{0,256}"$/.test(value)
}
