import { spawn } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { isatty, ReadStream, WriteStream } from 'node:tty'
import { UserError } from '@atomixos/image/errors.ts'

/** What U-Boot and the kernel of an RK3328 speak at. */
export const rock64Baud = 1_500_000

/** Bytes only: no echo, no line editing, no flow control, no modem lines; 8 data bits, 1 stop bit. */
const rawSettings = 'raw -echo cs8 -cstopb -parenb -ixon -ixoff clocal -hupcl'.split(' ')

export interface SerialLine extends AsyncDisposable {
  /** Calls back with what comes, until it is closed. */
  subscribe(listener: (bytes: Buffer) => void): void
  write(bytes: Uint8Array): Promise<void>
  /** Resolves with the reason when the line is gone: the adapter was pulled out. */
  readonly ended: Promise<string>
}

/**
 * Opens a serial device for bytes. Node reads terminals by itself; only the speed it cannot set, so `stty` does that,
 * which every Linux and macOS has. Throws UserError.
 */
export async function openSerialLine(path: string, baud: number): Promise<SerialLine> {
  const readable = openDevice(path)
  try {
    await refuseOpenElsewhere(path)
    await setLine(path, readable, baud)
  } catch (error) {
    closeSync(readable)
    throw error
  }
  const input = new ReadStream(readable)
  const output = new WriteStream(openDevice(path))
  const ended = new Promise<string>((resolve) => {
    for (const stream of [input, output]) stream.on('error', (error) => resolve(error.message))
    input.once('end', () => resolve('it has ended'))
  })
  return {
    ended,
    subscribe(listener) {
      input.on('data', listener)
    },
    write: (bytes) =>
      new Promise((resolve, reject) => output.write(bytes, (error) => (error ? reject(error) : resolve()))),
    async [Symbol.asyncDispose]() {
      input.destroy()
      output.destroy()
    },
  }
}

function openDevice(path: string): number {
  let file: number
  try {
    // Without waiting for a modem, and without becoming the terminal of this process.
    file = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const hints: Readonly<Record<string, string>> = {
      ENOENT: 'plug the adapter in; `ls /dev/serial/by-id` (macOS: `ls /dev/cu.*`) shows what there is',
      EACCES: 'join the group of the device (often dialout) and log in again, or run it with sudo',
      EBUSY: 'end the program that has it open',
    }
    throw new UserError(`${path} cannot be opened: ${message}`, {
      exitCode: 2,
      cause: error,
      ...(hints[code ?? ''] === undefined ? {} : { hint: hints[code ?? '']! }),
    })
  }
  if (isatty(file)) return file
  closeSync(file)
  throw new UserError(`${path} is no serial device`, {
    hint: 'it is often /dev/ttyUSB0 on Linux and /dev/cu.usbserial-... on macOS',
    exitCode: 2,
  })
}

async function setLine(path: string, file: number, baud: number): Promise<void> {
  const child = spawn('stty', [String(baud), ...rawSettings], { stdio: [file, 'ignore', 'pipe'] })
  const failure = await Promise.all([
    text(child.stderr!),
    new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    }),
  ]).then(
    ([said, exitCode]) => (exitCode === 0 ? undefined : said.trim() || `exit code ${exitCode}`),
    (error: Error) => error.message,
  )
  if (failure === undefined) return
  throw new UserError(`${path} cannot be set to ${baud} baud: ${failure}`, {
    hint: 'some adapters are too slow for 1500000; those with CP2104, CH343 or FT232 chips are not',
  })
}

/** Two readers of one line get half of it each, without a word. Linux tells who they are. */
async function refuseOpenElsewhere(path: string): Promise<void> {
  const real = await realpath(path).catch(() => path)
  for (const pid of await readdir('/proc').catch(() => [])) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const folder = join('/proc', pid, 'fd')
    for (const file of await readdir(folder).catch(() => [])) {
      if ((await readlink(join(folder, file)).catch(() => '')) !== real) continue
      const name = (await readFile(join('/proc', pid, 'comm'), 'utf8').catch(() => '')).trim()
      throw new UserError(`${path} is open in ${name || 'another program'} (process ${pid})`, {
        hint: 'end it first: each of the two would get a part of what comes',
        exitCode: 2,
      })
    }
  }
}
