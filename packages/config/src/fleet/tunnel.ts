/** How OpenSSH is asked for the tunnel. Pure. */

import type { TunnelRequest } from './protocol.ts'

/** What the server's key is called in the file of known hosts, whatever the server's name is. */
const hostKeyAlias = 'fleet-tunnel'

export function renderKnownHosts({ hostKey }: TunnelRequest): string {
  return `${hostKeyAlias} ${hostKey}\n`
}

/**
 * Arguments for `ssh`. No file of settings is read, nothing is run, asked or forwarded but the one port, which leads to
 * this device's own sshd. The connection ends when the server does not answer, so that a new one can be made.
 */
export function tunnelArguments(
  tunnel: TunnelRequest,
  files: { readonly key: string; readonly knownHosts: string },
): string[] {
  const options = {
    AddressFamily: 'inet',
    BatchMode: 'yes',
    CheckHostIP: 'no',
    ConnectTimeout: '20',
    ConnectionAttempts: '1',
    ControlMaster: 'no',
    ControlPath: 'none',
    ExitOnForwardFailure: 'yes',
    ForwardAgent: 'no',
    ForwardX11: 'no',
    GlobalKnownHostsFile: '/dev/null',
    HostKeyAlgorithms: 'ssh-ed25519',
    HostKeyAlias: hostKeyAlias,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    IdentityFile: files.key,
    LogLevel: 'ERROR',
    PermitLocalCommand: 'no',
    PreferredAuthentications: 'publickey',
    ProxyCommand: 'none',
    ServerAliveCountMax: '3',
    ServerAliveInterval: '20',
    StrictHostKeyChecking: 'yes',
    TCPKeepAlive: 'no',
    UpdateHostKeys: 'no',
    UserKnownHostsFile: files.knownHosts,
  }
  return [
    ...['-F', 'none', '-N', '-T', '-a', '-x'],
    ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
    ...['-R', `127.0.0.1:${tunnel.remotePort}:127.0.0.1:22`],
    ...['-p', String(tunnel.port), '-l', tunnel.user, '--', tunnel.host],
  ]
}

/** Whether a tunnel that is there serves what is asked now. */
export function isSameTunnel(a: TunnelRequest, b: TunnelRequest): boolean {
  return (
    a.host === b.host &&
    a.port === b.port &&
    a.user === b.user &&
    a.hostKey === b.hostKey &&
    a.remotePort === b.remotePort
  )
}
