/** SSH on the WAN while a file is there: by a reload, over a restart, and shut for those inside when it is gone. */
import { join } from 'node:path'
import { sshOnWanPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { waitUntilUp } from './gateway.ts'
import { lanAddress, lanMachine, reloadNetwork, wanAddressOf } from './operator-network.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

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
    `timeout 5 socat -u TCP4:${address}:22,connect-timeout=3 - | head -n 1 | grep -q '^SSH-2.0'`,
  ]
  /** A client that says who it is after that time; then sshd names the ways it knows to agree on a key. */
  const talk = (afterSeconds: number) =>
    device.network.provider.spawn([
      'sh',
      '-c',
      `(sleep ${afterSeconds}; printf 'SSH-2.0-story\\r\\n'; sleep 40) | socat - TCP4:${wanAddress}:22`,
    ])
  const answered = () =>
    device.network.provider.waitUntilSucceeds(greeting(wanAddress), { timeoutMs: 60_000 })
  const silent = () => device.network.provider.fail(greeting(wanAddress))

  test('it is closed on the WAN, open on the LAN', async () => {
    await silent()
    await (await lanMachine(device.network)).succeed(greeting(lanAddress))
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
    await using heard = await talk(1)
    await heard.waitForOutput(/curve25519/, { timeoutMs: 60_000 })
    // What this client says comes only when the door is shut. sshd gives up after 30 s, but the answer never comes.
    await using session = await talk(20)
    await session.waitForOutput(/SSH-2\.0/, { timeoutMs: 10_000 })
    await gateway.succeed(`rm ${sshOnWanPath}`)
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    await silent()
    await expect(session.waitForOutput(/curve25519/, { timeoutMs: 25_000 })).rejects.toThrow()
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
