/** Time for the LAN: by the gateway's own clock, by the internet's when it is there, and never none. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hostNetworkPath } from '@atomixos/config'
import type { LabHost, LabProcess, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askTime, type TimeAnswer } from './ask-time.ts'
import { providerAddress } from './gateway-network.ts'
import { lanAddress, lanMachine, reloadNetwork, wanAddressOf } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

const upstreamStratum = 3
const ownClock = { leap: 0, stratum: 10 }

describe('ntp', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let machine: LabHost

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('ntp'), 'device'))
    gateway = device.gateway
    machine = await lanMachine(device.network)
    await gateway.writeFile(hostNetworkPath, JSON.stringify({ ntp: { servers: [providerAddress] } }))
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  /** A server of time on the internet. */
  async function upstream(): Promise<LabProcess> {
    const { provider } = device.network
    await writeFile(
      join(provider.dir, 'etc/upstream.conf'),
      `local stratum ${upstreamStratum}\nallow\ncmdport 0\nbindcmdaddress /\npidfile /run/upstream.pid\n`,
    )
    const server = await provider.spawn(['chronyd', '-d', '-x', '-u', 'root', '-f', '/etc/upstream.conf'])
    await server.waitForOutput(/chronyd version/)
    return server
  }

  /** What the LAN is told, when it is told that; the last answer is in the error otherwise. */
  async function untilStratum(stratum: number, timeoutMs: number): Promise<TimeAnswer> {
    const end = Date.now() + timeoutMs
    for (;;) {
      const answer = await askTime(machine, lanAddress)
      if (answer?.stratum === stratum) return answer
      if (Date.now() > end) expect(answer).toMatchObject({ stratum })
      // Asked without a pause it would have neither time nor processor left for anything else.
      await sleep(500)
    }
  }

  test('nobody to ask: the LAN is told the time by the clock of the gateway', async () => {
    expect(await untilStratum(ownClock.stratum, 180_000)).toMatchObject(ownClock)
  })

  test('upstream comes, is lost, and comes back; the LAN has the time all along', async () => {
    {
      await using _ = await upstream()
      // Unreachable servers are asked about once a minute.
      const answer = await untilStratum(upstreamStratum + 1, 400_000)
      expect(answer.leap).toBe(0)
      expect(Math.abs(answer.offsetSeconds)).toBeLessThanOrEqual(1)
      expect(await gateway.succeed('chronyc -n sources')).toContain(`^* ${providerAddress}`)
    }
    // Lost: what it knew holds; and after a restart, which knows nothing, its own clock does.
    expect((await askTime(machine, lanAddress))?.leap).toBe(0)
    await gateway.succeed('systemctl restart chrony')
    expect(await untilStratum(ownClock.stratum, 180_000)).toMatchObject(ownClock)
    await using _ = await upstream()
    await untilStratum(upstreamStratum + 1, 400_000)
  })

  test('the WAN is not told the time', async () => {
    const wanAddress = await wanAddressOf(gateway)
    expect(await askTime(device.network.provider, wanAddress)).toBeUndefined()
  })
})
