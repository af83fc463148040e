import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Answer, FileFacts } from './parse-answer.ts'

/** What is wrong with a bundle that was fetched, by what a signed channel says of it; undefined: nothing. */
export async function bundleFileProblem(path: string, { file }: Answer): Promise<string | undefined> {
  return file === undefined ? undefined : fileProblem(path, file, 'bundle')
}

/** The same of any file that a channel names. Throws what the file system says. */
export async function fileProblem(
  path: string,
  file: FileFacts,
  what: 'bundle' | 'delta',
): Promise<string | undefined> {
  const { size } = await stat(path)
  if (size !== file.sizeBytes) {
    return `the channel says that the ${what} has ${file.sizeBytes} bytes, and it has ${size}`
  }
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex') === file.sha256 ? undefined : `the ${what} is not the one that the channel names`
}

/** Whether the whole file of a channel lies there. */
export async function fileIsHere(path: string, file: FileFacts | undefined): Promise<boolean> {
  if (file === undefined) return false
  return (await fileProblem(path, file, 'bundle').catch(() => 'it is not there')) === undefined
}

/** Whether the whole bundle of a channel lies there. */
export function bundleIsHere(path: string, answer: Answer): Promise<boolean> {
  return fileIsHere(path, answer.file)
}
