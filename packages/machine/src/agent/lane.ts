/** One port of the agent: a connection that runs one command at a time and survives resets of the guest. */
import type { Socket } from 'node:net'
import { GuestGone } from '../errors.ts'
import { helloRequest, type LaneMessage, laneParser, type Reply } from './protocol.ts'

export class Lane {
  /** The boot that answers here; undefined while nobody does. */
  bootId: string | undefined
  readonly #onChange: () => void
  #socket: Socket | undefined
  #pending: { id: number; resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  /** A reply nobody waits for any more; the lane is usable again when it comes. */
  #abandonedId: number | undefined
  #nonce = ''
  #connections = 0

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get idle(): boolean {
    return this.bootId !== undefined && this.#pending === undefined && this.#abandonedId === undefined
  }

  get abandoned(): boolean {
    return this.#abandonedId !== undefined
  }

  /** Takes over a connection and greets: the guest answers as soon as its loop reads. */
  attach(socket: Socket): void {
    this.detach('the connection to the guest was replaced')
    this.#socket = socket
    socket.on('error', () => {})
    socket.on(
      'data',
      laneParser((message) => this.#receive(message)),
    )
    socket.on('close', () => {
      if (this.#socket === socket) this.detach('the machine went away')
    })
    this.#nonce = `c${++this.#connections}`
    socket.write(helloRequest(this.#nonce))
  }

  detach(why: string): void {
    const socket = this.#socket
    this.#socket = undefined
    this.bootId = undefined
    this.#abandonedId = undefined
    socket?.destroy()
    this.#lose(why)
    this.#onChange()
  }

  /** Only on an idle lane. Rejects with `GuestGone` when the guest restarts before it answered. */
  request(id: number, bytes: string | Uint8Array): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#pending = { id, resolve, reject }
      this.#socket!.write(bytes)
    })
  }

  /** Stops waiting for the running request. */
  abandon(error: Error): void {
    this.#abandonedId = this.#pending?.id
    this.#pending?.reject(error)
    this.#pending = undefined
    this.#onChange()
  }

  #lose(why: string): void {
    this.#pending?.reject(new GuestGone(why))
    this.#pending = undefined
  }

  #receive(message: LaneMessage): void {
    if (message.kind === 'reply') {
      if (message.id === this.#abandonedId) this.#abandonedId = undefined
      if (message.id === this.#pending?.id) {
        this.#pending.resolve(message)
        this.#pending = undefined
      }
    } else if (message.kind === 'ready') {
      this.bootId = message.bootId
      this.#abandonedId = undefined
      this.#lose('the guest restarted')
    } else if (message.nonce === this.#nonce) {
      this.bootId = message.bootId
    }
    this.#onChange()
  }
}
