/** What device and fleet server agree on. docs/fleet.md tells the protocol to those who write another server. */

import { configFolder } from '../operator-files.ts'

export const fleetApi = {
  registerPath: '/api/v1/devices/register',
  heartbeatPath: (id: string) => `/api/v1/devices/${id}/heartbeat`,
} as const

/** Made by `atomixctl fleet enrol`, or by hand; while it is not there, nothing of the fleet runs. */
export const fleetSettingsPath = `${configFolder}/fleet.json`

/** Keys, token and id of this device towards its fleet server. */
export const fleetFolder = '/data/fleet'

/**
 * While the service runs and the server has approved the device: whose certificates sshd takes, and for whom. It goes
 * with the service, so nothing of it outlives a restart or a fleet that was left.
 */
export const fleetRuntimeFolder = '/run/atomixos-fleet'

export const fleetRuntimePaths = {
  /** Public key of the authority, for `TrustedUserCAKeys`. */
  userAuthority: `${fleetRuntimeFolder}/user-ca.pub`,
  /** The device's id: certificates are for `USER@ID`. */
  deviceId: `${fleetRuntimeFolder}/device-id`,
  status: `${fleetRuntimeFolder}/status.json`,
} as const

/** The service on the device, and its account. */
export const fleetAccount = 'fleet-link'
export const fleetUnit = 'fleet-link.service'

/** How long a question may take in all, how large it and its answer may be. */
export const fleetLimits = {
  requestBytesMax: 8 << 10,
  answerBytesMax: 16 << 10,
  timeoutMs: 30_000,
  /** Seconds from one heartbeat to the next that a server may ask for. */
  heartbeatS: { min: 10, max: 3600 },
  /** Ports that a server may ask a device to listen on, on the server's loopback address. */
  tunnelPort: { min: 1024, max: 65_535 },
} as const

/** Whom a certificate is for: an account on one device. No other device takes it. */
export function certificatePrincipal(user: string, deviceId: string): string {
  return `${user}@${deviceId}`
}

export const deviceStates = ['pending', 'approved', 'revoked'] as const
export type DeviceState = (typeof deviceStates)[number]

/** Of an id that a server gives. It becomes part of paths, of principals and of lines in files. */
export const deviceIdPattern = /^[a-z0-9]{8,64}$/

/** 256 random bits in base64url: made on the device, shown to its server only. */
export const tokenPattern = /^[A-Za-z0-9_-]{43}$/

/** Twelve hexadecimal digits. */
export const macPattern = /^[0-9a-f]{12}$/

/** Accounts that certificates are made for, as the operator's configuration may name them. */
export const accountPattern = /^[a-z_][a-z0-9_-]{0,30}$/
