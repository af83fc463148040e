/** QEMU's machine protocol: one JSON value a line; answers carry the id of their command, events come between. */
import type { Socket } from 'node:net'
import { MachineError, seconds } from './errors.ts'
import type { Qmp, QmpEvent } from './types.ts'

type Message = Readonly<Record<string, unknown>>

/** A command that QEMU refused. `className` is QEMU's error class, `GenericError` as a rule. */
export class QmpError extends MachineError {
  override readonly name = 'QmpError'
  readonly className: string

  constructor(command: string, error: { class?: unknown; desc?: unknown }) {
    super(`QEMU refused ${command}: ${String(error.desc)}`)
    this.className = String(error.class)
  }
}

/** Cuts a byte stream into JSON lines; keeps the unfinished rest. */
export function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest: Buffer[] = []
  return (chunk) => {
    let from = 0
    for (let at = chunk.indexOf(10, from); at !== -1; at = chunk.indexOf(10, from)) {
      onLine(Buffer.concat([...rest, chunk.subarray(from, at)]).toString())
      rest = []
      from = at + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
}

export class QmpClient implements Qmp {
  readonly #socket: Socket
  readonly #pending = new Map<number, { command: string; settle: (message: Message | Error) => void }>()
  readonly #listeners = new Set<(event: QmpEvent) => void>()
  #nextId = 1
  #closed: Error | undefined

  /** Takes over a fresh connection and leaves negotiation mode. */
  static async negotiate(socket: Socket): Promise<QmpClient> {
    const client = new QmpClient(socket)
    await client.execute('qmp_capabilities')
    return client
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on(
      'data',
      lineSplitter((line) => this.#receive(line)),
    )
    socket.on('error', () => {})
    socket.on('close', () => this.#close(new MachineError('QEMU closed its control connection')))
  }

  async execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#closed) throw this.#closed
    const id = this.#nextId++
    const answer = new Promise<Message | Error>((settle) => this.#pending.set(id, { command, settle }))
    this.#socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`)
    const message = await answer
    if (message instanceof Error) throw message
    if ('error' in message) throw new QmpError(command, message.error as { class?: unknown; desc?: unknown })
    return message.return
  }

  event(name: string, options: { readonly timeoutMs?: number } = {}): Promise<QmpEvent> {
    const timeoutMs = options.timeoutMs ?? 60_000
    return new Promise((resolve, reject) => {
      const end = (act: () => void) => {
        clearTimeout(timer)
        off()
        this.#socket.off('close', closed)
        act()
      }
      const closed = () => end(() => reject(new MachineError(`QEMU ended before its event ${name}`)))
      const timer = setTimeout(
        () => end(() => reject(new MachineError(`QEMU sent no event ${name} in ${seconds(timeoutMs)}`))),
        timeoutMs,
      )
      const off = this.onEvent((event) => {
        if (event.name === name) end(() => resolve(event))
      })
      this.#socket.once('close', closed)
    })
  }

  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): void {
    this.#socket.destroy()
  }

  #receive(line: string): void {
    if (line.trim() === '') return
    const message = JSON.parse(line) as Message
    if (typeof message.event === 'string') {
      const event = { name: message.event, data: (message.data ?? {}) as Record<string, unknown> }
      for (const listener of [...this.#listeners]) listener(event)
      return
    }
    if (typeof message.id !== 'number') return
    this.#pending.get(message.id)?.settle(message)
    this.#pending.delete(message.id)
  }

  #close(error: Error): void {
    this.#closed = error
    for (const { settle } of this.#pending.values()) settle(error)
    this.#pending.clear()
  }
}
