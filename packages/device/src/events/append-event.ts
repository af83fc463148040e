import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { type NewEvent, olderLogPath, parseEventLine, type RecordedEvent } from '@atomixos/config'
import { withLogLock } from './log-lock.ts'

/** So that one line stays a small write. */
const charactersMax = { version: 128, reason: 500, detail: 4000 } as const

const tailBytes = 1 << 20

export interface AppendOptions {
  readonly rotateAtBytes?: number
  readonly now?: () => Date
  readonly bootId?: string
}

/**
 * Adds an event; it is on the disk when this returns true. A disk that is full or read-only gives false: the log must
 * never be the reason why an update or a boot fails.
 *
 * Lines of two writers never mix: each is one write with O_APPEND. The lock only guards the numbers and the change of
 * files; whoever can't have it writes all the same, without changing files.
 */
export function appendEvent(path: string, event: NewEvent, options: AppendOptions = {}): boolean {
  const { rotateAtBytes = 512 << 10, now = () => new Date() } = options
  try {
    const folder = dirname(path)
    mkdirSync(folder, { recursive: true })
    const bootId = options.bootId ?? readBootId()
    return withLogLock(
      `${path}.lock`,
      (locked) => {
        const seq = lastSeq(path) + 1
        const recorded: RecordedEvent = {
          ...{ seq, time: now().toISOString(), bootId, slot: event.slot ?? null, event: event.event },
          ...cut(event),
        }
        const line = Buffer.from(`${JSON.stringify(recorded)}\n`)
        if (locked) rotateIfFull(path, rotateAtBytes - line.length)
        writeLine(path, line)
        return true
      },
      { bootId },
    )
  } catch {
    return false
  }
}

function cut(event: NewEvent): Partial<RecordedEvent> {
  const short = (name: keyof typeof charactersMax) => event[name]?.slice(0, charactersMax[name])
  // JSON leaves out what is undefined.
  return { version: short('version'), reason: short('reason'), detail: short('detail') }
}

function lastSeq(path: string): number {
  for (const file of [path, olderLogPath(path)]) {
    if (!existsSync(file)) continue
    const seq = readTail(file)
      .split('\n')
      .reduceRight((found, line) => found || (parseEventLine(line)?.seq ?? 0), 0)
    if (seq > 0) return seq
  }
  return 0
}

/** Not more than fits into memory, whatever the file has become. */
function readTail(path: string): string {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const tail = Buffer.alloc(Math.min(size, tailBytes))
    const bytes = readSync(file, tail, 0, tail.length, size - tail.length)
    return tail.toString('utf8', 0, bytes)
  } finally {
    closeSync(file)
  }
}

function rotateIfFull(path: string, sizeBytesMax: number): void {
  if (!existsSync(path)) return
  const file = openSync(path, 'r')
  const { size } = fstatSync(file)
  closeSync(file)
  if (size > 0 && size > sizeBytesMax) renameSync(path, olderLogPath(path))
}

function writeLine(path: string, line: Buffer): void {
  const created = !existsSync(path)
  const file = openSync(path, 'a+', 0o644)
  try {
    // After a power cut the last line may have no end. Zeros are what some file systems leave there.
    const bytes = endsWithNewline(file) ? line : Buffer.concat([Buffer.from('\n'), line])
    if (writeSync(file, bytes) !== bytes.length) throw new Error('the disk is full')
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  if (created) syncFolder(dirname(path))
}

function endsWithNewline(file: number): boolean {
  const { size } = fstatSync(file)
  const last = Buffer.alloc(1)
  return size === 0 || (readSync(file, last, 0, 1, size - 1) === 1 && last[0] === 0x0a)
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}
