import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { Content } from './tree.ts'
import { contentSize } from './tree.ts'

/**
 * Reads contents, keeping the files they lie in open: a tree has thousands of ranges in a few hundred files.
 * Use with `await using`.
 */
export class ContentReader implements AsyncDisposable {
  readonly #handles = new Map<string, Promise<FileHandle>>()

  /** All of it, or `sizeBytes` from `offsetBytes`; shorter where the content ends. */
  async read(content: Content, offsetBytes = 0, sizeBytes = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    const end = Math.min(contentSize(content), offsetBytes + sizeBytes)
    if (offsetBytes >= end) return new Uint8Array()
    if (content.kind === 'bytes') return content.bytes.subarray(offsetBytes, end)
    const handle = await this.#handle(content.path)
    const buffer = new Uint8Array(end - offsetBytes)
    let done = 0
    while (done < buffer.byteLength) {
      const position = content.offsetBytes + offsetBytes + done
      const { bytesRead } = await handle.read(buffer, done, buffer.byteLength - done, position)
      if (bytesRead === 0)
        throw new Error(`${content.path} is shorter than the range that was recorded of it`)
      done += bytesRead
    }
    return buffer
  }

  async readText(content: Content): Promise<string> {
    return Buffer.from(await this.read(content)).toString('utf8')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handles = [...this.#handles.values()]
    this.#handles.clear()
    await Promise.all(handles.map(async (handle) => (await handle).close()))
  }

  #handle(path: string): Promise<FileHandle> {
    let handle = this.#handles.get(path)
    if (handle === undefined) {
      handle = open(path, 'r')
      this.#handles.set(path, handle)
    }
    return handle
  }
}

export function contentSha256(content: Content): string {
  return content.kind === 'range' ? content.sha256 : createHash('sha256').update(content.bytes).digest('hex')
}
