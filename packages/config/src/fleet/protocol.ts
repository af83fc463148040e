/** Questions and answers between a device and its fleet server, as values and as text. Pure. */

import {
  choiceField,
  type Fields,
  keyField,
  objectField,
  optionalField,
  parseObject,
  textField,
  wholeField,
} from './fields.ts'
import {
  type DeviceState,
  deviceIdPattern,
  deviceStates,
  fleetLimits,
  macPattern,
  tokenPattern,
} from './names.ts'

/**
 * Who a device is. All of it comes from the device, the token too: asked again after an answer was lost, a server gives
 * the same answer.
 */
export interface Registration {
  readonly mac: string
  readonly token: string
  /** The device's key for the tunnel. */
  readonly publicKey: string
  /** Of the device's sshd: a session knows by it that the tunnel leads to this device. */
  readonly hostKey: string
  readonly version: string
}

export interface RegisterAnswer {
  readonly id: string
  readonly state: DeviceState
}

export interface Heartbeat {
  readonly version: string
  readonly uptimeS: number
  readonly tunnel: 'up' | 'down'
  readonly hostKey: string
}

/** Where a device is to open its tunnel: `ssh -R 127.0.0.1:PORT:127.0.0.1:22 USER@HOST`. */
export interface TunnelRequest {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly hostKey: string
  readonly remotePort: number
}

export type HeartbeatAnswer = { readonly heartbeatS: number } & (
  | { readonly state: 'pending' | 'revoked' }
  | {
      readonly state: 'approved'
      /** Public key of the authority for short-lived certificates. */
      readonly userAuthority: string
      /** undefined: nobody wants a session. */
      readonly tunnel: TunnelRequest | undefined
    }
)

const versionPattern = /^[0-9A-Za-z.+~-]{1,64}$/
/** A name or an IPv4 address; never the beginning of an option. */
const hostPattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*$/
const loginPattern = /^[a-z_][a-z0-9_-]{0,31}$/

export function renderRegistration(registration: Registration): string {
  const { mac, token, publicKey, hostKey, version } = registration
  return JSON.stringify({ mac, token, public_key: publicKey, host_key: hostKey, version })
}

export function parseRegistration(text: string): Registration {
  const fields = parseObject(text, 'the registration')
  return {
    mac: textField(fields, 'mac', macPattern),
    token: textField(fields, 'token', tokenPattern),
    publicKey: keyField(fields, 'public_key'),
    hostKey: keyField(fields, 'host_key'),
    version: textField(fields, 'version', versionPattern),
  }
}

export function renderRegisterAnswer({ id, state }: RegisterAnswer): string {
  return JSON.stringify({ id, state })
}

export function parseRegisterAnswer(text: string): RegisterAnswer {
  const fields = parseObject(text, 'the answer')
  return {
    id: textField(fields, 'id', deviceIdPattern),
    state: choiceField(fields, 'state', deviceStates),
  }
}

export function renderHeartbeat({ version, uptimeS, tunnel, hostKey }: Heartbeat): string {
  return JSON.stringify({ version, uptime_s: uptimeS, tunnel, host_key: hostKey })
}

export function parseHeartbeat(text: string): Heartbeat {
  const fields = parseObject(text, 'the heartbeat')
  return {
    version: textField(fields, 'version', versionPattern),
    uptimeS: wholeField(fields, 'uptime_s', { min: 0, max: 2 ** 40 }),
    tunnel: choiceField(fields, 'tunnel', ['up', 'down']),
    hostKey: keyField(fields, 'host_key'),
  }
}

export function renderHeartbeatAnswer(answer: HeartbeatAnswer): string {
  const { state, heartbeatS } = answer
  if (answer.state !== 'approved') return JSON.stringify({ state, heartbeat_s: heartbeatS })
  const { tunnel } = answer
  return JSON.stringify({
    state,
    heartbeat_s: heartbeatS,
    user_ca: answer.userAuthority,
    tunnel:
      tunnel === undefined
        ? null
        : {
            ...{ host: tunnel.host, port: tunnel.port, user: tunnel.user },
            ...{ host_key: tunnel.hostKey, remote_port: tunnel.remotePort },
          },
  })
}

export function parseHeartbeatAnswer(text: string): HeartbeatAnswer {
  const fields = parseObject(text, 'the answer')
  const state = choiceField(fields, 'state', deviceStates)
  const heartbeatS = wholeField(fields, 'heartbeat_s', fleetLimits.heartbeatS)
  if (state !== 'approved') return { state, heartbeatS }
  return {
    ...{ state, heartbeatS, userAuthority: keyField(fields, 'user_ca') },
    tunnel: optionalField(fields, 'tunnel', (_, name) => parseTunnel(objectField(fields, name))),
  }
}

function parseTunnel(fields: Fields): TunnelRequest {
  return {
    host: textField(fields, 'host', hostPattern),
    port: wholeField(fields, 'port', { min: 1, max: 65_535 }),
    user: textField(fields, 'user', loginPattern),
    hostKey: keyField(fields, 'host_key'),
    remotePort: wholeField(fields, 'remote_port', fleetLimits.tunnelPort),
  }
}
