import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { UserError } from '../errors.ts'

type Answer = { readonly path: string } & ({ readonly sha256: string } | { readonly error: string })

/**
 * SHA-256 of large files that never change under their name, by path: side by side, a thread for each core, since
 * hashing a disk image of a gigabyte takes a second of one.
 */
export async function hashFiles(paths: readonly string[]): Promise<Map<string, string>> {
  const queue = [...new Set(paths)]
  const hashes = new Map<string, string>()
  const threads = Array.from({ length: Math.min(queue.length, availableParallelism()) }, async () => {
    const worker = new Worker(new URL('./hash-worker.ts', import.meta.url))
    try {
      for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
        hashes.set(path, await ask(worker, path))
      }
    } finally {
      await worker.terminate()
    }
  })
  await Promise.all(threads)
  return hashes
}

function ask(worker: Worker, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (answer: Answer) => {
      worker.off('error', reject)
      if ('sha256' in answer) resolve(answer.sha256)
      else reject(new UserError(`${path} cannot be hashed: ${answer.error}`))
    })
    worker.postMessage(path)
  })
}
