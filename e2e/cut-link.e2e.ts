/** A link that is cut every 20 seconds, once with the cable out, still brings the release, and hardly a byte comes twice. */
import { readFile } from 'node:fs/promises'
import { channelPath, defaultChannelName, serverAuthoritiesPath, updateFolder } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { serveOverBadLink } from './bad-link.ts'
import { channelFixtures, feedBundlePath } from './bundle-fixtures.ts'
import { deviceStatus, runningSlot } from './gateway.ts'
import { updateHostName } from './gateway-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { bundlePath, manifest, storyDir } from './setup.ts'
import { createUpdateServer, type UpdateServer } from './update-server.ts'

const channelUrl = `/${channelPath(manifest.board, defaultChannelName)}`
/** What the whole bundle would take on this link if it were never cut: four connections at least. */
const transferS = 70
const cutAfterMs = 20_000
/** Longer than any round trip, shorter than the silence that a download takes for the end: TCP does not see it alone. */
const cableOutMs = 8000

describe('cut-link', () => {
  let device: ProvisionedGateway
  let server: UpdateServer
  let gateway: Machine

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('cut-link'))
    gateway = device.gateway
    server = await createUpdateServer(device.network)
    await gateway.writeFile(serverAuthoritiesPath, server.authority)
    // Its networks are new ones: the address of the name server comes with the next lease.
    await gateway.waitUntilSucceeds(`getent ahostsv4 ${updateHostName}`)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  test('the bundle completes, and less than 5 % of its bytes come twice', async () => {
    const bundle = await readFile(bundlePath('next'))
    // Halted while it is fetched: the bundle has then shown that it is whole, and need not be installed as well.
    const [first, then] = await Promise.all(
      (['channel-6', 'channel-7-halted'] as const).map((name) => readFile(bundlePath(name))),
    )
    let looks = 0
    let cable: Promise<unknown> = Promise.resolve()
    const { answer, count } = serveOverBadLink(bundle, {
      ...{ bytesPerS: bundle.byteLength / transferS, cutAfterMs },
      onCut: (cuts) => {
        if (cuts === 2) cable = pullCable()
      },
    })
    server.answer = (request, response) => {
      if (request.url === channelUrl) response.end(++looks === 1 ? first : then)
      else if (request.url === `/${feedBundlePath}`) answer(request, response)
      else response.writeHead(404).end()
    }
    await gateway.succeed('systemctl start os-upgrade', { timeoutMs: 600_000 })
    await cable

    // Fetched and compared with the signed size and hash; then held back, since the channel was asked once more.
    const { lastLook } = (await deviceStatus(gateway)).update
    expect(lastLook).toMatchObject({
      ...{ action: 'none', version: '0.2.0', transfer: expect.stringMatching(/^the full bundle, /) },
      reason: expect.stringContaining(channelFixtures['channel-7-halted'].halted!),
    })

    expect(count.cuts).toBeGreaterThanOrEqual(3)
    expect(count.starts).toHaveLength(count.cuts + 1)
    // Each goes on where the one before has ended, or a little before.
    expect(count.starts).toEqual(count.starts.toSorted((a, b) => a - b))
    expect(new Set(count.starts).size).toBe(count.starts.length)
    const twice = count.sentBytes - bundle.byteLength
    process.stdout.write(
      `cut-link: ${count.cuts} cuts, ${count.sentBytes} bytes sent for ${bundle.byteLength}: ` +
        `${((twice * 100) / bundle.byteLength).toFixed(2)} % twice\n`,
    )
    expect(twice).toBeGreaterThanOrEqual(0)
    expect(twice).toBeLessThan(bundle.byteLength * 0.05)

    const journal = await gateway.succeed('journalctl -b -u os-upgrade -o cat')
    expect(journal.match(/it goes on at \d+ % in \d+ s/g)?.length).toBeGreaterThanOrEqual(count.cuts)
    expect(await gateway.succeed(`ls ${updateFolder}`)).not.toMatch(/bundle\.raucb/)
    expect(await runningSlot(gateway)).toBe('A')
    expect(await gateway.failedUnits()).toEqual([])
  })

  async function pullCable(): Promise<void> {
    const { provider } = device.network
    await provider.succeed(['ip', 'link', 'set', 'wan', 'down'])
    await new Promise((resolve) => setTimeout(resolve, cableOutMs))
    await provider.succeed(['ip', 'link', 'set', 'wan', 'up'])
  }
})
