import { parentPort } from 'node:worker_threads'
import { fileSha256 } from '../tree/file-node.ts'

/** A thread of `hash-files.ts`: a path in, its hash or the reason why there is none out. */
parentPort?.on('message', (path: string) => {
  fileSha256(path).then(
    (sha256) => parentPort!.postMessage({ path, sha256 }),
    (error: Error) => parentPort!.postMessage({ path, error: error.message }),
  )
})
