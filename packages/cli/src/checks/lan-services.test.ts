import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  lanDefaults,
  lanNameProgram,
  networkDefaults,
  renderChrony,
  renderDnsmasq,
  renderFirewall,
  renderNamePattern,
} from '@atomixos/config'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import { createLab, type Lab, type LabHost, treePrograms } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/**
 * dnsmasq and chrony with the files that are rendered for them, behind the rules, and machines of both networks that ask
 * them. A network namespace stands in for the gateway; the programs are the versions that it has.
 */

const lan = { ...lanDefaults, hostnamePattern: 'machine-{mac}', domain: 'plant.example' }
const machineMac = '52:54:00:12:ab:cd'

let dir: string
let lab: Lab
let gateway: LabHost
let machine: LabHost
let outside: LabHost

async function whyNot(): Promise<string | false> {
  try {
    dir = await mkdtemp(join(tmpdir(), 'atomixos-lan-'))
    const tree = await (await openTestInputs()).toolTree('tools-machine')
    lab = await createLab({ programs: treePrograms(tree.dir), dir })
    for (const name of ['eth0', 'eth1']) await lab.bridge(name)
    gateway = await lab.host('gateway', {
      eth0: { addresses: ['203.0.113.7/24'] },
      eth1: { addresses: [lan.gatewayCidr] },
    })
    await gateway.succeed(['nft', 'list', 'ruleset'])
    return false
  } catch (error) {
    return (error as Error).message.split('\n')[0]!
  }
}

const forbidden = await whyNot()
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

describe.skipIf(forbidden)(`LAN services${forbidden ? ` (skipped: ${forbidden})` : ''}`, () => {
  beforeAll(async () => {
    const place = async (path: string, text: string) => {
      await mkdir(join(gateway.dir, path, '..'), { recursive: true })
      await writeFile(join(gateway.dir, path), text)
    }
    await place('run/rules', renderFirewall(networkDefaults))
    await place('run/atomixos/network/hostname-pattern', renderNamePattern(lan)!)
    await place('run/dnsmasq.conf', renderDnsmasq(lan).replace(lanNameProgram, '/run/lan-name'))
    await place(
      'run/chrony.conf',
      renderChrony(lan, [])
        .replace(/^leapseclist .*\n/m, '')
        .replace('/var/lib/chrony/', '/run/'),
    )
    for (const folder of ['run/atomixos/lan-names', 'var/lib/misc'])
      await mkdir(join(gateway.dir, folder), { recursive: true })
    const program = join(import.meta.dirname, '../../../../system/modules/lan-name.sh')
    await copyFile(program, join(gateway.dir, 'run/lan-name'))
    await chmod(join(gateway.dir, 'run/lan-name'), 0o755)
    await gateway.succeed(['nft', '-f', '/run/rules'])
    const dnsmasq = await gateway.spawn([
      'dnsmasq',
      '--no-daemon',
      '--conf-file=/run/dnsmasq.conf',
      '--log-dhcp',
    ])
    await dnsmasq.waitForOutput(/DHCP, IP range/)
    await gateway.spawn(['chronyd', '-d', '-x', '-U', '-u', 'root', '-f', '/run/chrony.conf'])

    machine = await lab.host('machine', { eth1: { mac: machineMac } })
    outside = await lab.host('outside', { eth0: { addresses: ['203.0.113.1/24'] } })
    for (const { dir: hostDir } of [machine, outside]) {
      await writeFile(
        join(hostDir, 'run/lease'),
        '#!/bin/sh\n[ "$1" != bound ] || echo "ip=$ip router=$router dns=$dns ntp=$ntpsrv domain=$domain"\n',
      )
      await chmod(join(hostDir, 'run/lease'), 0o755)
    }
  })

  // Answers by broadcast: over a cable between namespaces this client does not take the others.
  const lease = ['udhcpc', '-n', '-q', '-f', '-t', '8', '-T', '1', '-B', '-s', '/run/lease', '-O', 'ntpsrv']

  test('a machine of the LAN gets an address, a name server and a time server, and no way out', async () => {
    const said = await machine.succeed([...lease, '-i', 'eth1', '-x', 'hostname:gateway'], {
      timeoutMs: 30_000,
    })
    const found = /ip=172\.20\.30\.(\d+) router= dns=(\S*) ntp=(\S*) domain=(\S*)/.exec(said)
    expect(found?.slice(2)).toEqual(['172.20.30.1', '172.20.30.1', 'plant.example'])
    expect(Number(found![1])).toBeGreaterThanOrEqual(10)
    await machine.succeed(['ip', 'addr', 'add', `172.20.30.${found![1]}/24`, 'dev', 'eth1'])
    await writeFile(
      join(machine.dir, 'etc/resolv.conf'),
      'nameserver 172.20.30.1\noptions attempts:1 timeout:2\n',
    )
  })

  test('the WAN gets none', async () => {
    await outside.fail([...lease, '-i', 'eth0'], { timeoutMs: 30_000 })
  })

  test('the gateway is known by its names, the machine by its hardware, and nothing else is', async () => {
    const lookUp = (name: string) => ['getent', 'ahostsv4', name]
    expect(await machine.succeed(lookUp('atomixos'))).toMatch(/^172\.20\.30\.1 /)
    expect(await machine.succeed(lookUp('atomixos.plant.example'))).toMatch(/^172\.20\.30\.1 /)
    expect(await machine.waitUntilSucceeds(lookUp('machine-52540012abcd.plant.example'))).toMatch(
      /^172\.20\.30\./,
    )
    await machine.fail(lookUp('example.com'))
    await machine.fail(lookUp('www.plant.example'))
  })

  test('a machine that calls itself like the gateway does not become it', async () => {
    await machine.succeed([...lease, '-i', 'eth1', '-x', 'hostname:atomixos'], { timeoutMs: 30_000 })
    const { stdout } = await machine.run(['getent', 'ahostsv4', 'atomixos'])
    for (const line of stdout.trim().split('\n')) expect(line).toMatch(/^172\.20\.30\.1 /)
  })

  test('the time comes from the gateway, also when it has none but its own; not on the WAN', async () => {
    const ask = (address: string) => [
      'chronyd',
      '-Q',
      '-t',
      '8',
      '-U',
      '-u',
      'root',
      `server ${address} iburst maxsamples 2`,
    ]
    await machine.succeed(ask('172.20.30.1'), { timeoutMs: 30_000 })
    await outside.fail(ask('203.0.113.7'), { timeoutMs: 30_000 })
  })
})
