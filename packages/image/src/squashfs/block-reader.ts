import { closeSync, openSync, readSync } from 'node:fs'
import { UserError } from '../errors.ts'
import { type Content, contentSize } from '../tree/tree.ts'

/**
 * Fills blocks with pieces of contents. Unlike the ContentReader of trees it reads synchronously: while the thread
 * pool compresses, each asynchronous read would wait behind whole blocks, and a shared block has a hundred pieces.
 */
export class BlockReader {
  readonly #open = new Map<string, number>()
  readonly #openMax = 64

  /** Fills `target` from `offsetBytes` of the content on. */
  read(content: Content, offsetBytes: number, target: Uint8Array): void {
    if (offsetBytes + target.byteLength > contentSize(content)) throw new RangeError('read beyond a content')
    if (content.kind === 'bytes') {
      target.set(content.bytes.subarray(offsetBytes, offsetBytes + target.byteLength))
      return
    }
    const file = this.#descriptor(content.path)
    let done = 0
    while (done < target.byteLength) {
      const position = content.offsetBytes + offsetBytes + done
      const count = readSync(file, target, done, target.byteLength - done, position)
      if (count === 0) {
        throw new UserError(`${content.path} is shorter than it was when it was unpacked`, {
          hint: 'remove the folder it is in and build again',
        })
      }
      done += count
    }
  }

  close(): void {
    for (const file of this.#open.values()) closeSync(file)
    this.#open.clear()
  }

  #descriptor(path: string): number {
    let file = this.#open.get(path)
    if (file !== undefined) return file
    if (this.#open.size >= this.#openMax) {
      const [oldestPath, oldest] = this.#open.entries().next().value!
      closeSync(oldest)
      this.#open.delete(oldestPath)
    }
    file = openSync(path, 'r')
    this.#open.set(path, file)
    return file
  }
}
