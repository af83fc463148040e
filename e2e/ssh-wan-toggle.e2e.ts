/** SSH on the WAN while a file is there: by a reload, over a restart, and shut for those inside when it is gone. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sshOnWanPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { waitUntilUp } from './gateway.ts'
import { lanAddress, lanMachine, reloadNetwork, wanAddressOf } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

/** How long sshd waits for a client to say something: `LoginGraceTime`. */
const loginGraceMs = 30_000

describe('ssh-wan-toggle', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let wanAddress: string

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('ssh-wan-toggle'), 'device'))
    gateway = device.gateway
    wanAddress = await wanAddressOf(gateway)
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const greeting = (address: string) => [
    'sh',
    '-c',
    `timeout 20 socat -u TCP4:${address}:22,connect-timeout=3 - | head -n 1 | grep -q '^SSH-2.0'`,
  ]
  /** A client that says who it is when it is told to; then sshd names the ways it knows to agree on a key. */
  const talk = (name: string) =>
    device.network.provider.spawn([
      'sh',
      '-c',
      `(until [ -e /run/${name} ]; do sleep 0.1; done; printf 'SSH-2.0-story\\r\\n'; sleep 40) | socat - TCP4:${wanAddress}:22`,
    ])
  const tell = (name: string) => writeFile(join(device.network.provider.dir, 'run', name), '')
  const answered = () =>
    device.network.provider.waitUntilSucceeds(greeting(wanAddress), { timeoutMs: 120_000 })
  const silent = () => device.network.provider.fail(greeting(wanAddress))

  test('it is closed on the WAN, open on the LAN', async () => {
    await silent()
    await (await lanMachine(device.network)).waitUntilSucceeds(greeting(lanAddress))
  })

  test('the file alone does nothing; the reload opens', async () => {
    await gateway.succeed(`touch ${sshOnWanPath}`)
    await silent()
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    await answered()
  })

  test('it stays open over a restart', async () => {
    await gateway.succeed('sync')
    await gateway.reboot({ timeoutMs: 400_000 })
    await waitUntilUp(gateway)
    wanAddress = await wanAddressOf(gateway)
    await answered()
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('the reload without the file closes it, for open connections as well', async () => {
    await using heard = await talk('first')
    await tell('first')
    await heard.waitForOutput(/curve25519/, { timeoutMs: 60_000 })
    // What this client says comes only when the door is shut, and before sshd gives up waiting for it.
    for (let attempt = 1; ; attempt++) {
      await using session = await talk(`session-${attempt}`)
      const connected = Date.now()
      await session.waitForOutput(/SSH-2\.0/, { timeoutMs: 60_000 })
      await gateway.succeed(`rm ${sshOnWanPath}`)
      expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
      await tell(`session-${attempt}`)
      const inTime = Date.now() - connected < loginGraceMs - 5_000
      if (inTime || attempt === 5) {
        expect(inTime).toBe(true)
        await expect(session.waitForOutput(/curve25519/, { timeoutMs: 25_000 })).rejects.toThrow()
        break
      }
      // The machine was too busy to show anything.
      await gateway.succeed(`touch ${sshOnWanPath}`)
      expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    }
    await silent()
    const counted = await gateway.succeed('nft list chain inet atomixos wan')
    expect(Number(/counter packets (\d+) bytes \d+ drop\s*\}/.exec(counted)?.[1])).toBeGreaterThan(0)
  })

  test('the unit reloads, too; started again without the file, it leaves nothing open', async () => {
    await gateway.succeed(`touch ${sshOnWanPath}; systemctl start activation`, { timeoutMs: 120_000 })
    await gateway.succeed('systemctl reload activation', { timeoutMs: 120_000 })
    await answered()
    await gateway.succeed(`rm ${sshOnWanPath}; systemctl restart activation`, { timeoutMs: 120_000 })
    await silent()
  })
})
