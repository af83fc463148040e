import { open } from 'node:fs/promises'
import { UserError } from '@atomixos/image/errors.ts'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { TextFinder } from '../serial/find-text.ts'
import { openSerialLine, rock64Baud } from '../serial/serial-line.ts'

/** Ctrl-], as in `vm`. */
const escapeByte = 0x1d

export function addSerial(program: Command, context: CommandContext): void {
  const serial = program
    .command('serial')
    .description('the serial console of a real board: record it, or type into it')
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos serial shell /dev/ttyUSB0
  ./atomixos serial capture /dev/ttyUSB0 -o boot.log --until "login:" --seconds 120
`,
    )
  addCapture(serial, context)
  addShell(serial, context)
}

interface CaptureOptions {
  readonly baud: number
  readonly output?: string
  readonly until?: string
  readonly seconds?: number
}

function addCapture(serial: Command, context: CommandContext): void {
  serial
    .command('capture')
    .description('everything that the board says, to standard output or a file, until Ctrl-C')
    .argument('<device>', 'of the adapter: /dev/ttyUSB0; on macOS /dev/cu.usbserial-...')
    .option('--baud <N>', 'speed; the default is that of the Rock64', parseWhole, rock64Baud)
    .option('-o, --output <FILE>', 'into this file, which must be new; a line tells how much there is')
    .option('--until <TEXT>', 'end when the board has said this')
    .option('--seconds <N>', 'end after that time; with --until this is a failure', parseWhole)
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos serial capture /dev/ttyUSB0
  ./atomixos serial capture /dev/ttyUSB0 -o boot.log
  ./atomixos serial capture /dev/ttyUSB0 --until "Reached target multi-user" --seconds 90
`,
    )
    .action((device: string, options: CaptureOptions) => capture(context, device, options))
}

async function capture(context: CommandContext, device: string, options: CaptureOptions): Promise<void> {
  const { reporter, signal } = context
  await using line = await openSerialLine(device, options.baud)
  const file = options.output === undefined ? undefined : await createFile(options.output)
  const task = file && reporter.task(`recording ${device}`)
  const finder = options.until === undefined ? undefined : new TextFinder(options.until)
  let bytesSeen = 0
  let written: Promise<unknown> = Promise.resolve()
  try {
    const end = await new Promise<string>((resolve, reject) => {
      const ended = (reason: string) => reject(lineGone(device, reason))
      line.subscribe((bytes) => {
        bytesSeen += bytes.byteLength
        task?.progress(bytesSeen, undefined, 'bytes')
        if (file === undefined) process.stdout.write(bytes)
        else written = written.then(() => file.appendFile(bytes)).catch(reject)
        if (finder?.add(bytes)) resolve('found')
      })
      void line.ended.then(ended)
      signal.addEventListener('abort', () => resolve('stopped'), { once: true })
      if (options.seconds !== undefined) setTimeout(resolve, options.seconds * 1000, 'time').unref()
    })
    await written
    if (end === 'time' && options.until !== undefined) {
      throw new UserError(`${device} did not say "${options.until}" within ${options.seconds} s`, {
        hint:
          bytesSeen === 0
            ? 'it said nothing at all: are the two data lines swapped?'
            : 'look at what it said',
      })
    }
    task?.done(`${bytesSeen} bytes in ${options.output}`)
  } catch (error) {
    task?.failed()
    throw error
  } finally {
    await written.catch(() => {})
    await file?.close()
  }
}

function addShell(serial: Command, context: CommandContext): void {
  serial
    .command('shell')
    .description('this terminal becomes the console of the board; Ctrl-] leaves')
    .argument('<device>', 'of the adapter: /dev/ttyUSB0; on macOS /dev/cu.usbserial-...')
    .option('--baud <N>', 'speed; the default is that of the Rock64', parseWhole, rock64Baud)
    .addHelpText(
      'after',
      '\nEvery key goes to the board, Ctrl-C as well. Ctrl-] leaves.\n\nExamples:\n  ./atomixos serial shell /dev/ttyUSB0\n',
    )
    .action((device: string, options: { baud: number }) => shell(context, device, options.baud))
}

async function shell({ reporter, signal }: CommandContext, device: string, baud: number): Promise<void> {
  await using line = await openSerialLine(device, baud)
  const { stdin } = process
  reporter.info(`${device} at ${baud} baud; Ctrl-] leaves`)
  if (stdin.isTTY) stdin.setRawMode(true)
  try {
    await new Promise<void>((resolve, reject) => {
      line.subscribe((bytes) => process.stdout.write(bytes))
      void line.ended.then((reason) => reject(lineGone(device, reason)))
      signal.addEventListener('abort', () => resolve(), { once: true })
      stdin.on('data', (bytes: Buffer) => {
        const end = bytes.indexOf(escapeByte)
        const typed = end === -1 ? bytes : bytes.subarray(0, end)
        if (typed.byteLength > 0) line.write(typed).catch(reject)
        if (end !== -1) resolve()
      })
    })
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false)
    stdin.pause()
    stdin.removeAllListeners('data')
  }
}

async function createFile(path: string) {
  return open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`${path} cannot be made: ${error.message}`, {
      hint: 'an older record is never written over; choose another name',
      exitCode: 2,
      cause: error,
    })
  })
}

function lineGone(device: string, reason: string): UserError {
  return new UserError(`${device} is gone: ${reason}`, {
    hint: 'the adapter was pulled out, or another program took it; plug it in and begin again',
  })
}

function parseWhole(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number > 0) return number
  throw new InvalidArgumentError('a whole number above 0')
}
