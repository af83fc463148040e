import { mkdir, open, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../run-program.ts'
import { bound } from './bound.ts'
import { itemMs, type ReportItem, reportMs } from './contents.ts'
import { type ItemRemarks, leftOutName, renderLeftOut } from './left-out.ts'
import { countRemoved, redact } from './redact.ts'

/**
 * Writes each item into the folder, without secrets, and one file more that says what is not there. What can't be had says
 * why in its place; never throws for one.
 */
export async function collect(
  items: readonly ReportItem[],
  dir: string,
  limits: { readonly itemMs: number; readonly reportMs: number } = { itemMs, reportMs },
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const endMs = performance.now() + limits.reportMs
  const remarks: ItemRemarks[] = []
  // One after the other: a device that is in trouble has enough to do.
  for (const item of items) {
    const leftMs = Math.floor(Math.min(limits.itemMs, endMs - performance.now()))
    const {
      text,
      cut = false,
      missing,
    }: Read = leftMs > 0
      ? await read(item, leftMs)
      : { text: '[left out: the report took too long]\n', missing: 'the report took too long' }
    const safe = redact(text)
    remarks.push({ name: item.name, removed: countRemoved(safe) - countRemoved(text), cut, missing })
    await writeFile(join(dir, item.name), safe, { mode: 0o600 })
  }
  await writeFile(join(dir, leftOutName), redact(renderLeftOut(remarks)), { mode: 0o600 })
}

interface Read {
  readonly text: string
  /** Only a part of it is there. */
  readonly cut?: boolean
  /** Why it is not there, or not known to be whole. */
  readonly missing?: string | undefined
}

async function read(item: ReportItem, timeoutMs: number): Promise<Read> {
  if ('path' in item) {
    const read = await readPart(item.path, item).catch((error: NodeJS.ErrnoException) => error)
    if (!(read instanceof Error)) return read
    const reason = `can't be read: ${read.code ?? read.message}`
    return { text: `[${item.path} ${reason}]\n`, missing: reason }
  }
  const { stdout, stderr, exitCode } = await runProgram(item.argv, { timeoutMs })
  const failed = exitCode === 0 ? '' : `[${item.argv.join(' ')}: ${ended(exitCode)}]\n${stderr}`
  const said = Buffer.from(stdout)
  return {
    text: `${bound(said, item.bytesMax, item.keep)}${bound(Buffer.from(failed), 16_384, 'start')}`,
    cut: said.length > item.bytesMax,
    missing: exitCode === 0 ? undefined : ended(exitCode),
  }
}

function ended(exitCode: number | undefined): string {
  return exitCode === undefined ? 'could not be started, or took too long' : `exit code ${exitCode}`
}

/** Only the part that is wanted, whatever the file has become. */
async function readPart(path: string, { bytesMax, keep }: ReportItem): Promise<Read> {
  if (!(await stat(path)).isFile()) return { text: `[${path} is no file]\n`, missing: 'it is no file' }
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const length = Math.min(size, bytesMax + 1)
    const { buffer, bytesRead } = await file.read({
      buffer: Buffer.alloc(length),
      position: keep === 'end' ? size - length : 0,
    })
    return { text: bound(buffer.subarray(0, bytesRead), bytesMax, keep), cut: size > bytesMax }
  } finally {
    await file.close()
  }
}
