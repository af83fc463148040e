/** All lanes of one machine, as one place to run commands. Knows nothing of QEMU but the sockets of the ports. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MachineError, seconds } from '../errors.ts'
import { connectWhenThere } from '../sockets.ts'
import { Lane } from './lane.ts'
import { putRequest, type Reply, runRequest } from './protocol.ts'

/** Beyond the guest's own time limit, before the host gives a command up: a loaded host makes a slow guest. */
const abandonAfterMs = 30_000

export class Agent {
  readonly #lanes: readonly Lane[]
  readonly #socketPaths: readonly string[]
  readonly #stillPossible: () => boolean
  readonly #waiters = new Set<() => void>()
  #nextId = 1
  /** The boot that last ran a command. */
  lastBootId: string | undefined

  constructor(socketPaths: readonly string[], stillPossible: () => boolean) {
    this.#socketPaths = socketPaths
    this.#stillPossible = stillPossible
    this.#lanes = socketPaths.map(() => new Lane(() => this.#changed()))
  }

  /** The boot that answers now. */
  get bootId(): string | undefined {
    return this.#lanes.find((lane) => lane.bootId !== undefined)?.bootId
  }

  get abandonedLanes(): number {
    return this.#lanes.filter((lane) => lane.abandoned).length
  }

  get laneCount(): number {
    return this.#lanes.length
  }

  async connect(): Promise<void> {
    await Promise.all(
      this.#lanes.map(async (lane, index) => {
        lane.attach(
          await connectWhenThere(this.#socketPaths[index]!, {
            timeoutMs: 30_000,
            stillPossible: this.#stillPossible,
          }),
        )
      }),
    )
  }

  /** After a reset: what the old guest left in the connections is thrown away with them. */
  async reconnect(why: string): Promise<void> {
    this.disconnect(why)
    await this.connect()
  }

  disconnect(why: string): void {
    for (const lane of this.#lanes) lane.detach(why)
  }

  /** The boot that answers; waits for one until `signal` aborts. */
  async reached(signal: AbortSignal): Promise<string> {
    for (;;) {
      if (this.bootId !== undefined) return this.bootId
      await this.#nextChange(signal)
    }
  }

  /** On the next free lane; waits for one until `signal` aborts. Rejects with `GuestGone` when the guest restarts. */
  async run(command: string, timeoutMs: number, signal: AbortSignal): Promise<Reply> {
    const id = this.#nextId++
    const timeoutSeconds = Math.max(1, Math.ceil(timeoutMs / 1000))
    return this.#send(id, runRequest(id, command, timeoutSeconds), timeoutSeconds * 1000, signal)
  }

  async put(path: string, content: Uint8Array, mode: number, signal: AbortSignal): Promise<Reply> {
    const id = this.#nextId++
    // 1 MB/s at the very least, on any host.
    const timeoutMs = 60_000 + content.byteLength / 1000
    return this.#send(id, putRequest(id, path, content, mode), timeoutMs, signal)
  }

  async #send(
    id: number,
    bytes: string | Uint8Array,
    guestTimeoutMs: number,
    signal: AbortSignal,
  ): Promise<Reply> {
    for (;;) {
      const lane = this.#lanes.find((candidate) => candidate.idle)
      // In the same turn as the look: between two turns somebody else could take the lane.
      if (lane) return this.#request(lane, id, bytes, guestTimeoutMs)
      await this.#nextChange(signal)
    }
  }

  async #request(lane: Lane, id: number, bytes: string | Uint8Array, guestTimeoutMs: number): Promise<Reply> {
    const giveUp = new AbortController()
    const limitMs = guestTimeoutMs + abandonAfterMs
    const timer = sleep(limitMs, undefined, { signal: giveUp.signal }).then(
      () => lane.abandon(new MachineError(`the guest gave no answer for ${seconds(limitMs)}`)),
      () => {},
    )
    try {
      this.lastBootId = lane.bootId
      return await lane.request(id, bytes)
    } finally {
      giveUp.abort()
      await timer
    }
  }

  #changed(): void {
    for (const wake of this.#waiters) wake()
    this.#waiters.clear()
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const aborted = () => {
        this.#waiters.delete(wake)
        reject(signal.reason)
      }
      const wake = () => {
        signal.removeEventListener('abort', aborted)
        resolve()
      }
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiters.add(wake)
    })
  }
}
