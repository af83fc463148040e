/**
 * The host's end of the framing, without any input or output. Requests are a header line and what it announces;
 * replies are control lines that begin with a dot, and base64 lines between them, so any bytes pass.
 */
import { MachineError } from '../errors.ts'
import { lineSplitter } from '../qmp.ts'

export interface Reply {
  readonly id: number
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: Buffer
}

export type LaneMessage =
  /** The guest's loop began: whatever was asked before is lost. */
  | { readonly kind: 'ready'; readonly bootId: string }
  | { readonly kind: 'hello'; readonly nonce: string; readonly bootId: string }
  | ({ readonly kind: 'reply' } & Reply)

/** A single argument of a Linux program ends at 128 KiB. */
const commandBytesMax = 120 * 1024

export function helloRequest(nonce: string): string {
  return `hello ${nonce}\n`
}

/** @param timeoutSeconds After which the guest kills the command's process group. */
export function runRequest(id: number, command: string, timeoutSeconds: number): string {
  if (command.includes('\0')) throw new MachineError('a shell command cannot hold a zero byte')
  if (Buffer.byteLength(command) > commandBytesMax) {
    throw new MachineError(
      `a command of more than ${commandBytesMax} bytes does not fit; copy a script in instead`,
    )
  }
  const lines = command.split('\n')
  return `run ${id} ${timeoutSeconds} ${lines.length}\n${lines.join('\n')}\n`
}

export function putRequest(id: number, path: string, content: Uint8Array, mode: number): Buffer {
  if (!/^\/[^\n\0]*$/.test(path))
    throw new MachineError(`not an absolute guest path: ${JSON.stringify(path)}`)
  const header = `put ${id} ${content.byteLength} ${mode.toString(8).padStart(4, '0')}\n${path}\n`
  return Buffer.concat([Buffer.from(header), content])
}

/** Turns the bytes of one lane into messages. What does not fit (the tail of a reply cut by a reset) is dropped. */
export function laneParser(onMessage: (message: LaneMessage) => void): (chunk: Buffer) => void {
  let open: { id: number; exitCode: number; out: string[]; err: string[]; inErr: boolean } | undefined
  return lineSplitter((line) => {
    const [word, first = '', second = ''] = line.split(' ')
    switch (word) {
      case '.ready':
        open = undefined
        return onMessage({ kind: 'ready', bootId: first })
      case '.hello':
        return onMessage({ kind: 'hello', nonce: first, bootId: second })
      case '.begin':
        open = { id: Number(first), exitCode: Number(second), out: [], err: [], inErr: false }
        return
      case '.err':
        if (open) open.inErr = true
        return
      case '.end': {
        const done = open
        open = undefined
        if (done && done.id === Number(first)) {
          onMessage({
            kind: 'reply',
            id: done.id,
            exitCode: done.exitCode,
            stdout: Buffer.from(done.out.join(''), 'base64'),
            stderr: Buffer.from(done.err.join(''), 'base64'),
          })
        }
        return
      }
      default:
        if (open) (open.inErr ? open.err : open.out).push(line)
    }
  })
}
