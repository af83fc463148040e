import { firewallInboundPath } from '@atomixos/config'
import type { CommandResult, LabHost, Machine } from '@atomixos/machine'
import type { GatewayNetwork } from './gateway-network.ts'

export const lanAddress = '172.20.30.1'
/** Of a machine that asked for none. */
export const machineAddress = '172.20.30.5'

/** The gateway's address on the WAN, as DHCP gave it. */
export async function wanAddressOf(gateway: Machine): Promise<string> {
  const text = await gateway.waitUntilSucceeds('ip -4 -o address show dev eth0 scope global | grep inet')
  return /inet ([\d.]+)/.exec(text)![1]!
}

/** A machine of the LAN with a fixed address, and the gateway as its way out, as somebody would set who wants out. */
export async function lanMachine(network: GatewayNetwork): Promise<LabHost> {
  const machine = await network.lab.host('machine', { lan: { addresses: [`${machineAddress}/24`] } })
  await machine.succeed(['ip', 'route', 'add', 'default', 'via', lanAddress])
  return machine
}

/** Applies the files as they are now. */
export function reloadNetwork(gateway: Machine): Promise<CommandResult> {
  return gateway.execute('atomixctl network reload', { timeoutMs: 120_000 })
}

/** What comes of the text as the operator's list of ports. */
export async function withPorts(gateway: Machine, text: string): Promise<CommandResult> {
  await gateway.writeFile(firewallInboundPath, text)
  return reloadNetwork(gateway)
}

/** Something that listens on these TCP ports of the gateway, on every address, until the machine restarts. */
export async function listen(gateway: Machine, ports: readonly number[]): Promise<void> {
  const program = `for (const port of [${ports}]) require("net").createServer((s) => s.end("here\\n")).listen(port, "0.0.0.0")`
  await gateway.succeed(`systemd-run --unit=listeners --collect /usr/lib/atomixos/node -e '${program}'`, {
    timeoutMs: 60_000,
  })
  for (const port of ports) {
    await gateway.waitUntilSucceeds(`ss -Hltn 'sport = :${port}' | grep -q .`, { timeoutMs: 60_000 })
  }
}
