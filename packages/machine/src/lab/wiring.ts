/** Bridges, cables and addresses as lines for `ip -batch`. Pure. */
import { MachineError } from '../errors.ts'
import type { LabCard } from '../types.ts'

/** Interface names end at 15 characters, and ours get a number behind them. */
export function checkName(kind: string, name: string): void {
  if (!/^[a-z][a-z0-9-]{0,10}$/.test(name)) {
    throw new MachineError(`${JSON.stringify(name)} is no name for a ${kind}`, {
      hint: 'at most 11 lower-case letters, digits and hyphens, a letter first',
    })
  }
}

/** Forwards at once, and says nothing of its own. */
export function bridgeLines(name: string): string[] {
  return [`link add name ${name} type bridge forward_delay 0 mcast_snooping 0`, `link set ${name} up`]
}

/** A cable from the bridge to a card named after it in the namespace of process `pid`. In the lab's namespace. */
export function cableLines(bridge: string, port: string, card: LabCard, pid: number): string[] {
  const mac = card.mac === undefined ? '' : ` address ${card.mac}`
  return [
    `link add name ${port} type veth peer name ${bridge}${mac} netns ${pid}`,
    `link set ${port} master ${bridge} up`,
  ]
}

/** In the host's namespace. */
export function cardLines(bridge: string, card: LabCard): string[] {
  return [
    `link set ${bridge} up`,
    ...(card.addresses ?? []).map(
      // Usable at once: duplicate address detection would take a second or two.
      (address) => `addr add ${address} dev ${bridge}${address.includes(':') ? ' nodad' : ''}`,
    ),
  ]
}

export function tapLines(bridge: string, tap: string): string[] {
  return [`tuntap add mode tap name ${tap}`, `link set ${tap} master ${bridge} up`]
}

/** For a relay that reads and writes frames at `far`; `near` stays down until there is someone to read them. */
export function relayLines(bridge: string, near: string, far: string): string[] {
  return [
    `link add name ${near} type veth peer name ${far}`,
    `link set ${near} master ${bridge}`,
    `link set ${far} up promisc on`,
  ]
}
