/**
 * The device's side of the fleet: registers, waits for the approval, sends heartbeats, and does what the answers ask of
 * it, which is one thing only: to open or close the tunnel. Whatever the server says or does not say, nothing else of
 * the device depends on it.
 */
import {
  type DeviceState,
  FleetProtocolError,
  firstDelayMs,
  fleetApi,
  type HeartbeatAnswer,
  heartbeatDelayMs,
  oneLine,
  parseHeartbeatAnswer,
  parseRegisterAnswer,
  renderHeartbeat,
  renderRegistration,
  retryDelayMs,
  type TunnelRequest,
} from '@atomixos/config'
import { UpdateServerError } from '../upgrade/server-error.ts'
import type { Identity } from './identity.ts'
import type { PostAnswer } from './post.ts'

export interface AgentFacts {
  readonly serverUrl: string
  readonly mac: string
  readonly hostKey: string
  readonly version: string
}

/** What `atomixctl fleet status` shows. */
export interface AgentStatus {
  readonly server_url: string
  readonly id: string | undefined
  /** undefined: the server has not answered since the start. */
  readonly state: DeviceState | undefined
  readonly tunnel: 'up' | 'down'
  readonly last_answer: string | undefined
  /** Of the last question; undefined: it was answered. */
  readonly problem: string | undefined
}

export interface AgentDoors {
  post(question: { path: string; body: string; token?: string }): Promise<PostAnswer>
  save(identity: Identity): Promise<void>
  trust(trust: { userAuthority: string; id: string } | undefined): Promise<void>
  readonly tunnel: {
    readonly state: 'up' | 'down'
    want(request: TunnelRequest | undefined): Promise<void>
  }
  note(status: AgentStatus): Promise<void>
  say(line: string): void
  random(): number
  uptimeS(): number
  now(): Date
}

/** A tunnel that held so long was no failure. */
const steadyTunnelMs = 60_000

export class Agent {
  readonly #facts: AgentFacts
  readonly #doors: AgentDoors
  #identity: Identity
  #state: DeviceState | undefined
  #failures = 0
  #tunnelFailures = 0
  #heartbeatS = 60
  #lastAnswer: string | undefined
  #lastSaid: string | undefined

  constructor(facts: AgentFacts, identity: Identity, doors: AgentDoors) {
    this.#facts = facts
    this.#doors = doors
    this.#identity = identity
  }

  /** Milliseconds until the first question. */
  firstDelayMs(): number {
    return firstDelayMs(this.#identity.id === undefined ? 'new' : 'registered', () => this.#doors.random())
  }

  /** One question and all that follows from its answer; gives the milliseconds until the next. Never throws. */
  async step(): Promise<number> {
    try {
      await this.#ask()
      this.#failures = 0
      await this.#note(undefined)
      return heartbeatDelayMs(this.#heartbeatS, () => this.#doors.random())
    } catch (error) {
      this.#failures += 1
      const problem = oneLine((error as Error).message, 300)
      this.#say(problem)
      await this.#note(problem).catch(() => {})
      return retryDelayMs(this.#failures, () => this.#doors.random())
    }
  }

  /** The tunnel ended although it was wanted; gives the milliseconds until the server is asked about it. */
  tunnelEnded(ranMs: number): number {
    this.#tunnelFailures = ranMs < steadyTunnelMs ? this.#tunnelFailures + 1 : 1
    const delayMs = retryDelayMs(this.#tunnelFailures, () => this.#doors.random()) / 4
    return Math.floor(Math.min(delayMs, this.#heartbeatS * 1000))
  }

  async #ask(): Promise<void> {
    const id = this.#identity.id ?? (await this.#register())
    const { token, userAuthority } = this.#identity
    const heartbeat = renderHeartbeat({
      ...{ version: this.#facts.version, hostKey: this.#facts.hostKey },
      ...{ uptimeS: this.#doors.uptimeS(), tunnel: this.#doors.tunnel.state },
    })
    const { status, text } = await this.#doors.post({
      ...{ path: fleetApi.heartbeatPath(id), body: heartbeat, token },
    })
    if (status === 401) {
      // Its memory is gone, or somebody has taken us out of it: we ask to be let in again, with the same key.
      await this.#follow(undefined)
      await this.#save({ ...this.#identity, id: undefined })
      throw new UpdateServerError('status', 'the fleet server does not know this device any more', {
        url: '',
      })
    }
    requireOk(status)
    const answer = parseAnswer(() => parseHeartbeatAnswer(text))
    this.#heartbeatS = answer.heartbeatS
    this.#lastAnswer = this.#doors.now().toISOString()
    if (answer.state === 'approved' && userAuthority === undefined) {
      await this.#save({ ...this.#identity, userAuthority: answer.userAuthority })
    } else if (answer.state === 'approved' && userAuthority !== answer.userAuthority) {
      await this.#follow(undefined)
      throw new Error(
        'the fleet server names another authority for certificates than at the approval; leave the fleet and enrol again if that is right',
      )
    }
    await this.#follow(answer)
  }

  async #register(): Promise<string> {
    const { token, publicKey } = this.#identity
    const { mac, hostKey, version } = this.#facts
    const { status, text } = await this.#doors.post({
      path: fleetApi.registerPath,
      body: renderRegistration({ mac, token, publicKey, hostKey, version }),
    })
    if (status === 409) throw new Error('the fleet server knows our key with another MAC or token')
    if (status === 429) throw new Error('too many devices wait for their approval')
    requireOk(status)
    const { id } = parseAnswer(() => parseRegisterAnswer(text))
    await this.#save({ ...this.#identity, id })
    return id
  }

  /** Trust before the tunnel when it opens, the tunnel before trust when it closes. */
  async #follow(answer: HeartbeatAnswer | undefined): Promise<void> {
    const { id } = this.#identity
    const before = this.#state
    this.#state = answer?.state
    if (this.#state !== before && this.#state !== undefined) this.#say(`this device is ${this.#state}`)
    if (answer?.state === 'approved' && id !== undefined) {
      await this.#doors.trust({ userAuthority: answer.userAuthority, id })
      if (answer.tunnel === undefined) this.#tunnelFailures = 0
      await this.#doors.tunnel.want(answer.tunnel)
    } else {
      await this.#doors.tunnel.want(undefined)
      await this.#doors.trust(undefined)
    }
  }

  async #save(identity: Identity): Promise<void> {
    await this.#doors.save(identity)
    this.#identity = identity
  }

  #note(problem: string | undefined): Promise<void> {
    return this.#doors.note({
      ...{ server_url: this.#facts.serverUrl, id: this.#identity.id, state: this.#state },
      ...{ tunnel: this.#doors.tunnel.state, last_answer: this.#lastAnswer, problem },
    })
  }

  /** A server that is away for a week is told of once. */
  #say(line: string): void {
    if (line !== this.#lastSaid) this.#doors.say(line)
    this.#lastSaid = line
  }
}

function requireOk(status: number): void {
  if (status !== 200) {
    throw new UpdateServerError('status', `the fleet server answers ${status}`, { url: '', status })
  }
}

function parseAnswer<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof FleetProtocolError)) throw error
    throw new Error(`the fleet server's answer is refused: ${error.message}`, { cause: error })
  }
}
