/**
 * For tests: many devices in one process, with the code that decides on a real one, real requests to a real server, and a
 * clock of their own. The test that starts this process owns server and publisher; only RAUC's word comes from there.
 */
import { Agent, type IncomingMessage, request } from 'node:http'
import { type Channel, channelPath, judgeChannel, pollTimer, type SeenChannel } from '@atomixos/config'
import { seeded } from '@atomixos/config/channel/test-channels.ts'
import { decideByChannel } from './decide-by-channel.ts'
import { identityHeaders } from './fetch-latest.ts'

/** What the fleet is told; each order is answered once. */
export type FleetOrder =
  | {
      readonly kind: 'power-up'
      readonly nowMs: number
      readonly devices: number
      /** The first ones carry this label. */
      readonly canaries: number
      readonly label: string
      readonly version: string
      /** Where the server listens on this machine. */
      readonly socketPath: string
      readonly board: string
      readonly channel: string
      readonly seed: number
    }
  /** Lets the clock run, up to then. */
  | { readonly kind: 'run'; readonly untilMs: number }

export interface FleetState {
  readonly nowMs: number
  /** Looks so far. */
  readonly looks: number
  /** Devices that run a version now, canaries apart. */
  readonly versions: Readonly<Record<string, number>>
  readonly canaryVersions: Readonly<Record<string, number>>
  /** When devices took a release, in order. */
  readonly takenMs: readonly number[]
  /** Of the server or of the channel file; no look fails in a test that is right. */
  readonly problems: readonly string[]
}

/** The question to who started this process: what does RAUC say of this file? */
export interface FleetQuestion {
  readonly kind: 'verify'
  readonly file: string
}

/** The header by which the server's log tells the minute of the fleet's clock. */
export const minuteHeader = 'X-Simulated-Minute'

interface Device {
  readonly id: string
  readonly labels: readonly string[]
  version: string
  lookAtMs: number
  etag: string | undefined
  /** The file of that tag, and the number that was followed last: as on a disk. */
  file: string | undefined
  seen: SeenChannel | undefined
}

const serverUrl = 'https://updates.example'
/** What a look and a restart take. */
const lookMs = 5000
const restartMs = 60_000
const inFlightMax = 64

class Fleet {
  readonly #settings: Extract<FleetOrder, { kind: 'power-up' }>
  readonly #devices: Device[]
  readonly #ask: (file: string) => Promise<string>
  readonly #agent = new Agent({ keepAlive: true, maxSockets: inFlightMax })
  /** One copy of each, not ten thousand. */
  readonly #files = new Map<string, string>()
  readonly #random: () => number
  readonly #takenMs: number[] = []
  readonly #problems: string[] = []
  #nowMs: number
  #looks = 0

  constructor(settings: Extract<FleetOrder, { kind: 'power-up' }>, ask: (file: string) => Promise<string>) {
    this.#settings = settings
    this.#ask = ask
    this.#nowMs = settings.nowMs
    this.#random = seeded(settings.seed)
    this.#devices = Array.from({ length: settings.devices }, (_, index) => ({
      id: `0a1b2c${index.toString(16).padStart(6, '0')}`,
      labels: index < settings.canaries ? [settings.label] : [],
      version: settings.version,
      lookAtMs: this.#afterStart(settings.nowMs),
      ...{ etag: undefined, file: undefined, seen: undefined },
    }))
  }

  /** By OnBootSec and RandomizedDelaySec of the timer. */
  #afterStart(ms: number): number {
    return ms + (pollTimer.afterBootS + this.#random() * pollTimer.randomDelayS) * 1000
  }

  #afterLook(ms: number): number {
    return ms + lookMs + (pollTimer.intervalS + this.#random() * pollTimer.randomDelayS) * 1000
  }

  async runUntil(untilMs: number): Promise<FleetState> {
    for (;;) {
      const due = this.#devices
        .filter(({ lookAtMs }) => lookAtMs < untilMs)
        .sort((a, b) => a.lookAtMs - b.lookAtMs)
      if (due.length === 0) break
      let next = 0
      const worker = async () => {
        while (next < due.length) await this.#look(due[next++]!)
      }
      await Promise.all(Array.from({ length: inFlightMax }, worker))
    }
    this.#nowMs = untilMs
    return this.#state()
  }

  async #look(device: Device): Promise<void> {
    const nowMs = device.lookAtMs
    this.#looks += 1
    device.lookAtMs = this.#afterLook(nowMs)
    try {
      const { board, channel: name } = this.#settings
      const judged = judgeChannel(await this.#channelFile(device, nowMs), {
        ...{ board, channel: name, nowMs, seen: device.seen },
      })
      if (!('channel' in judged)) throw new Error(judged.reason)
      const { channel, identity } = judged
      device.seen = { sequence: channel.sequence, identity }
      this.#decide(device, channel, nowMs)
    } catch (error) {
      this.#problems.push(`${device.id}: ${(error as Error).message}`)
    }
  }

  #decide(device: Device, channel: Channel, nowMs: number): void {
    const { answer, verdict } = decideByChannel({
      ...{ channel, serverUrl, nowMs, device: { id: device.id, labels: device.labels } },
      ...{ runningVersion: device.version, runningSlot: 'confirmed', failedVersions: [] },
    })
    if (verdict.action !== 'install') return
    device.version = answer!.version
    device.lookAtMs = this.#afterStart(nowMs + restartMs)
    this.#takenMs.push(nowMs)
  }

  /** What RAUC says of the file that the server has now, by its tag where it is the same. */
  async #channelFile(device: Device, nowMs: number): Promise<string> {
    const { board, channel, nowMs: startMs } = this.#settings
    const minute = Math.floor((nowMs - startMs) / 60_000)
    const { status, etag, body } = await this.#get(`/${channelPath(board, channel)}`, {
      ...identityHeaders({ deviceId: device.id, runningVersion: device.version }),
      [minuteHeader]: String(minute),
      ...(device.etag !== undefined && { 'If-None-Match': device.etag }),
    })
    if (status !== 200 && (status !== 304 || device.file === undefined)) {
      throw new Error(`the server answers ${status}`)
    }
    if (status === 200) {
      device.etag = etag
      const file = body.toString('base64')
      device.file = this.#files.get(file) ?? file
      this.#files.set(file, device.file)
    }
    return this.#ask(device.file!)
  }

  async #get(path: string, headers: Record<string, string>) {
    const { socketPath } = this.#settings
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ socketPath, path, agent: this.#agent, headers })
      asked.once('response', resolve)
      asked.once('error', reject)
      asked.end()
    })
    const chunks: Buffer[] = []
    for await (const chunk of message as AsyncIterable<Buffer>) chunks.push(chunk)
    return { status: message.statusCode!, etag: message.headers.etag, body: Buffer.concat(chunks) }
  }

  #state(): FleetState {
    const count = (devices: readonly Device[]) => {
      const versions: Record<string, number> = {}
      for (const { version } of devices) versions[version] = (versions[version] ?? 0) + 1
      return versions
    }
    return {
      ...{ nowMs: this.#nowMs, looks: this.#looks },
      versions: count(this.#devices.filter(({ labels }) => labels.length === 0)),
      canaryVersions: count(this.#devices.filter(({ labels }) => labels.length > 0)),
      takenMs: this.#takenMs.toSorted((a, b) => a - b),
      problems: this.#problems.slice(0, 10),
    }
  }
}

/** RAUC is asked once about each file: what it says does not depend on who has fetched it. */
function askParent(): (file: string) => Promise<string> {
  const answers = new Map<string, Promise<string>>()
  const waiting: ((info: string) => void)[] = []
  process.on('message', (message: { readonly info?: string }) => {
    if (message.info !== undefined) waiting.shift()?.(message.info)
  })
  return (file) => {
    const known = answers.get(file)
    if (known) return known
    const answer = new Promise<string>((resolve) => {
      waiting.push(resolve)
      process.send!({ kind: 'verify', file } satisfies FleetQuestion)
    })
    answers.set(file, answer)
    return answer
  }
}

function serveOrders(): void {
  const ask = askParent()
  let fleet: Fleet | undefined
  process.on('message', async (order: FleetOrder) => {
    if (order.kind === 'power-up') {
      fleet = new Fleet(order, ask)
      process.send!({ kind: 'state', state: await fleet.runUntil(order.nowMs) })
    } else if (order.kind === 'run') {
      process.send!({ kind: 'state', state: await fleet!.runUntil(order.untilMs) })
    }
  })
  process.on('disconnect', () => process.exit())
}

if (process.send !== undefined && import.meta.main) serveOrders()
