import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Answer } from './parse-answer.ts'

/** What is wrong with a file that was fetched, by what a signed channel says of it; undefined: nothing. */
export async function bundleFileProblem(path: string, { file }: Answer): Promise<string | undefined> {
  if (file === undefined) return undefined
  const { size } = await stat(path)
  if (size !== file.sizeBytes) {
    return `the channel says that the bundle has ${file.sizeBytes} bytes, and it has ${size}`
  }
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex') === file.sha256 ? undefined : 'the bundle is not the one that the channel names'
}

/** Whether the whole bundle of a channel lies there. */
export async function bundleIsHere(path: string, answer: Answer): Promise<boolean> {
  if (answer.file === undefined) return false
  return (await bundleFileProblem(path, answer).catch(() => 'it is not there')) === undefined
}
