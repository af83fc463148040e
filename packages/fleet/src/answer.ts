/** What the server answers to one request: everything about the protocol but the transport. */
import {
  FleetProtocolError,
  fleetApi,
  type HeartbeatAnswer,
  parseHeartbeat,
  parseRegistration,
  renderHeartbeatAnswer,
  renderRegisterAnswer,
  type TunnelRequest,
  tokenPattern,
} from '@atomixos/config'
import type { Device, Store } from './store.ts'

export interface ApiRequest {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly body: string
}

export interface ApiAnswer {
  readonly status: number
  /** JSON. */
  readonly body: string
}

export interface ApiFacts {
  readonly store: Store
  readonly heartbeatS: number
  readonly userAuthority: string
  /** Where tunnels are opened; the port for the device is added. */
  readonly tunnel: Omit<TunnelRequest, 'remotePort'>
  readonly nowMs: number
}

const heartbeatPattern = /^\/api\/v1\/devices\/([a-z0-9]{1,64})\/heartbeat$/

export function answerRequest(facts: ApiFacts, request: ApiRequest): ApiAnswer {
  const id = heartbeatPattern.exec(request.path)?.[1]
  if (id === undefined && request.path !== fleetApi.registerPath) return problem(404, 'there is nothing here')
  if (request.method !== 'POST') return problem(405, 'only POST is answered here')
  try {
    return id === undefined ? register(facts, request) : heartbeat(facts, id, request)
  } catch (error) {
    if (error instanceof FleetProtocolError) return problem(400, error.message)
    throw error
  }
}

export function problem(status: number, message: string): ApiAnswer {
  return { status, body: JSON.stringify({ error: message }) }
}

function register({ store, nowMs }: ApiFacts, { body }: ApiRequest): ApiAnswer {
  const device = store.register(parseRegistration(body), nowMs)
  if (device === 'conflict') return problem(409, 'this key is registered with another MAC or token')
  if (device === 'too-many') return problem(429, 'too many devices wait for their approval')
  return { status: 200, body: renderRegisterAnswer(device) }
}

function heartbeat(facts: ApiFacts, id: string, { authorization, body }: ApiRequest): ApiAnswer {
  const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? ''
  // One answer for "no such device" and "not its token": ids can't be tried out.
  const device = tokenPattern.test(token)
    ? facts.store.heartbeat(id, token, parseHeartbeat(body), facts.nowMs)
    : undefined
  if (device === undefined) return problem(401, 'id and token belong to no device')
  return { status: 200, body: renderHeartbeatAnswer(heartbeatAnswer(facts, device)) }
}

function heartbeatAnswer(facts: ApiFacts, device: Device): HeartbeatAnswer {
  const { heartbeatS, userAuthority, nowMs } = facts
  if (device.state !== 'approved') return { state: device.state, heartbeatS }
  const wanted = device.port !== undefined && device.sessionUntilMs > nowMs
  return {
    ...{ state: device.state, heartbeatS, userAuthority },
    tunnel: wanted ? { ...facts.tunnel, remotePort: device.port } : undefined,
  }
}
