/**
 * How a QEMU network card gets onto a bridge. A tap where `/dev/net/tun` can be opened; where only root may, a
 * cable whose end is read and written by a relay (socat) that hands the frames to QEMU one by one.
 */
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild } from '../child.ts'
import type { Plug, Programs } from '../types.ts'
import { relayLines, tapLines } from './wiring.ts'

export interface PlugContext {
  readonly programs: Programs
  readonly enter: (argv: readonly string[]) => readonly string[]
  readonly ip: (lines: readonly string[]) => Promise<void>
  /** For sockets: a short path. */
  readonly socketDir: string
  readonly logPath: string
  readonly deadlineMs: number
}

/** For programs that make network interfaces themselves: taps for QEMU, tunnels of a VPN. */
export const tunDevice = '/dev/net/tun'

/** Whether this process may open `tunDevice`: on many machines only root may. */
export function tapsAllowed(): boolean {
  try {
    accessSync(tunDevice, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

export async function plugTap(context: PlugContext, bridge: string, number: number): Promise<Plug> {
  const tap = `tap${number}`
  await context.ip(tapLines(bridge, tap))
  return {
    netdev: `tap,ifname=${tap},script=no,downscript=no`,
    async connect() {},
    [Symbol.asyncDispose]: () => context.ip([`tuntap del mode tap name ${tap}`]),
  }
}

export async function plugRelay(context: PlugContext, bridge: string, number: number): Promise<Plug> {
  const [near, far] = [`relay${number}`, `frames${number}`]
  const [qemuSocket, relaySocket] = [
    join(context.socketDir, `q${number}`),
    join(context.socketDir, `r${number}`),
  ]
  await context.ip(relayLines(bridge, near, far))
  const relay: Child = await startChild({
    programs: context.programs,
    argv: [
      ...context.programs.argv('socat'),
      ...['-b', '65536', `UNIX-SENDTO:${qemuSocket},bind=${relaySocket}`, `INTERFACE:${far}`],
    ],
    enter: context.enter,
    logPath: context.logPath,
    deadlineMs: context.deadlineMs,
  })
  return {
    netdev: `dgram,local.type=unix,local.path=${qemuSocket},remote.type=unix,remote.path=${relaySocket}`,
    connect: () => context.ip([`link set ${near} up`]),
    async [Symbol.asyncDispose]() {
      await relay.kill()
      await context.ip([`link del ${near}`])
    },
  }
}
