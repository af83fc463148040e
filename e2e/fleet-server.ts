import { appendFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type FleetServer, startFleetServer } from '@atomixos/fleet'
import type { LabProcess } from '@atomixos/machine'
import { type GatewayNetwork, providerAddress, updateHostName } from './gateway-network.ts'
import { fleetPrograms } from './setup.ts'

/** Where devices open their tunnels. */
const tunnelPort = 22022

/** The reference server as the gateway sees it: `https://updates.test`. It forgets nothing when it is away. */
export interface StoryFleet extends AsyncDisposable {
  readonly url: string
  /** Until `start` only its folder is there. */
  readonly server: FleetServer
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * It runs in this process; in the provider's namespace relays listen. Ports of tunnels are on this machine's loopback
 * address, from a random one on, since other stories may run.
 */
export async function createStoryFleet(network: GatewayNetwork): Promise<StoryFleet> {
  const dir = join(network.lab.dir, 'fleet')
  const firstPort = 21_000 + Math.floor(Math.random() * 8000)
  await mkdir(dir, { recursive: true, mode: 0o700 })
  let running: { readonly server: FleetServer; readonly relays: readonly LabProcess[] } | undefined
  const relay = async (port: number, path: string) => {
    return network.provider.spawn([
      ...['socat', `TCP-LISTEN:${port},bind=${providerAddress},fork,reuseaddr`, `UNIX-CONNECT:${path}`],
    ])
  }
  const stop = async () => {
    if (running === undefined) return
    const { server, relays } = running
    running = undefined
    for (const process of relays) await process.stop()
    await server[Symbol.asyncDispose]()
  }
  return {
    url: `https://${updateHostName}`,
    get server() {
      if (running === undefined) throw new Error('the fleet server is away')
      return running.server
    },
    async start() {
      const sockets = { https: join(network.lab.dir, 'f-https'), tunnels: join(network.lab.dir, 'f-ssh') }
      for (const path of Object.values(sockets)) await rm(path, { force: true })
      const server = await startFleetServer({
        ...{ programs: fleetPrograms, dir, host: updateHostName, ...sockets, tunnelPort, firstPort },
        heartbeatS: 10,
        log: (line) => appendFileSync(join(dir, 'server.log'), `${line}\n`),
      })
      running = {
        server,
        relays: [await relay(443, sockets.https), await relay(tunnelPort, sockets.tunnels)],
      }
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
