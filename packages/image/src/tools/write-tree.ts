import { chmodSync, closeSync, mkdirSync, openSync, readSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Content, sortedPaths, type Tree } from '../tree/tree.ts'

/**
 * Writes a tree as real files below `dir` (which must be empty), owned by whoever runs this. Modes are exact but
 * for setuid and setgid, which have no business outside of an image. Devices are left out: making them takes root.
 */
export async function writeTree(tree: Tree, dir: string, signal: AbortSignal): Promise<void> {
  const directories: { path: string; mode: number }[] = []
  const source = new ContentReader()
  try {
    let sinceBreath = 0
    for (const path of sortedPaths(tree)) {
      const node = tree.get(path)!
      const target = join(dir, path)
      if (node.type === 'directory') {
        mkdirSync(target, { recursive: true })
        directories.push({ path: target, mode: node.mode & 0o1777 })
      } else if (node.type === 'symlink') symlinkSync(node.target, target)
      else if (node.type === 'file') {
        const file = openSync(target, 'wx', 0o600)
        try {
          source.copy(node.content, file)
        } finally {
          closeSync(file)
        }
        chmodSync(target, node.mode & 0o777)
      }
      if (++sinceBreath === 500) {
        sinceBreath = 0
        await setImmediate()
        signal.throwIfAborted()
      }
    }
    // Last: a directory may be read-only itself.
    for (const { path, mode } of directories.reverse()) chmodSync(path, mode | 0o700)
  } finally {
    source.close()
  }
}

/** Copies contents with one open descriptor and one buffer; neighbours in a tree mostly share their blob. */
class ContentReader {
  readonly #buffer = Buffer.allocUnsafe(1 << 20)
  #path: string | undefined
  #descriptor = -1

  copy(content: Content, target: number): void {
    if (content.kind === 'bytes') {
      writeAll(target, content.bytes)
      return
    }
    if (this.#path !== content.path) {
      this.close()
      this.#descriptor = openSync(content.path, 'r')
      this.#path = content.path
    }
    for (let done = 0; done < content.sizeBytes; ) {
      const want = Math.min(this.#buffer.length, content.sizeBytes - done)
      const got = readSync(this.#descriptor, this.#buffer, 0, want, content.offsetBytes + done)
      if (got === 0) throw new Error(`${content.path} is shorter than its index says`)
      writeAll(target, this.#buffer.subarray(0, got))
      done += got
    }
  }

  close(): void {
    if (this.#path !== undefined) closeSync(this.#descriptor)
    this.#path = undefined
  }
}

function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
}
