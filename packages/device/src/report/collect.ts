import { mkdir, open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../run-program.ts'
import { bound } from './bound.ts'
import { itemMs, type ReportItem, reportMs } from './contents.ts'
import { redact } from './redact.ts'

/** Writes each item into the folder, without secrets. What can't be had says why in its place; never throws for one. */
export async function collect(
  items: readonly ReportItem[],
  dir: string,
  limits: { readonly itemMs: number; readonly reportMs: number } = { itemMs, reportMs },
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const endMs = performance.now() + limits.reportMs
  // One after the other: a device that is in trouble has enough to do.
  for (const item of items) {
    const leftMs = Math.floor(Math.min(limits.itemMs, endMs - performance.now()))
    const text = leftMs > 0 ? await read(item, leftMs) : '[left out: the report took too long]\n'
    await writeFile(join(dir, item.name), redact(text), { mode: 0o600 })
  }
}

async function read(item: ReportItem, timeoutMs: number): Promise<string> {
  if ('path' in item) {
    const read = await readPart(item.path, item).catch((error: NodeJS.ErrnoException) => error)
    return read instanceof Error ? `[${item.path} can't be read: ${read.code ?? read.message}]\n` : read
  }
  const { stdout, stderr, exitCode } = await runProgram(item.argv, { timeoutMs })
  const failed = exitCode === 0 ? '' : `[${item.argv.join(' ')}: ${ended(exitCode)}]\n${stderr}`
  return `${bound(Buffer.from(stdout), item.bytesMax, item.keep)}${bound(Buffer.from(failed), 16_384, 'start')}`
}

function ended(exitCode: number | undefined): string {
  return exitCode === undefined ? 'could not be started, or took too long' : `exit code ${exitCode}`
}

/** Only the part that is wanted, whatever the file has become. */
async function readPart(path: string, { bytesMax, keep }: ReportItem): Promise<string> {
  if (!(await stat(path)).isFile()) return `[${path} is no file]\n`
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, bytesMax + 1)
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(length),
      position: keep === 'end' ? size - length : 0,
    })
    return bound(buffer.subarray(0, bytesRead), bytesMax, keep)
  } finally {
    await file.close()
  }
}
