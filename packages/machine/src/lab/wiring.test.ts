import { expect, test } from 'vitest'
import { sandboxArguments } from './sandbox.ts'
import { bridgeLines, cableLines, cardLines, checkName, relayLines, tapLines } from './wiring.ts'

test('a bridge, a cable, a card', () => {
  const card = { addresses: ['192.0.2.1/24', '2001:db8::1/64'], mac: '02:00:00:00:00:01' }
  expect([...bridgeLines('wan'), ...cableLines('wan', 'port1', card, 99)]).toEqual([
    'link add name wan type bridge forward_delay 0 mcast_snooping 0',
    'link set wan up',
    'link add name port1 type veth peer name wan address 02:00:00:00:00:01 netns 99',
    'link set port1 master wan up',
  ])
  expect(cardLines('wan', card)).toEqual([
    'link set wan up',
    'addr add 192.0.2.1/24 dev wan',
    'addr add 2001:db8::1/64 dev wan nodad',
  ])
  expect(cardLines('wan', {})).toEqual(['link set wan up'])
})

test('sockets for QEMU', () => {
  expect(tapLines('lan', 'tap3')).toEqual(['tuntap add mode tap name tap3', 'link set tap3 master lan up'])
  expect(relayLines('lan', 'relay3', 'frames3')).toEqual([
    'link add name relay3 type veth peer name frames3',
    'link set relay3 master lan',
    'link set frames3 up promisc on',
  ])
})

test.each(['Wan', '1wan', 'a-very-long-name', 'w an', ''])('%j is no name', (name) => {
  expect(() => checkName('bridge', name)).toThrow('is no name for a bridge')
})

test('a program on a host sees a tree, and the host folders over it', () => {
  const spec = {
    hostName: 'server',
    stateDir: '/lab/server',
    folders: ['/lab'],
    devices: ['/dev/net/tun'],
    links: [{ name: 'bin', target: 'usr/bin' }],
    env: { TZ: 'UTC' },
  }
  const inTree = sandboxArguments({ ...spec, rootDir: '/tree' }).join(' ')
  expect(inTree).toContain('--ro-bind /tree/usr /usr --symlink usr/bin /bin --bind /lab/server/etc /etc')
  expect(inTree).toContain(
    '--bind /lab /lab --dev-bind /dev/net/tun /dev/net/tun --clearenv --setenv PATH /usr/sbin:/usr/bin',
  )
  expect(inTree).toContain('--setenv TZ UTC')
  const onThisMachine = sandboxArguments({ ...spec, rootDir: undefined }).join(' ')
  expect(onThisMachine).toContain('--ro-bind /usr /usr --symlink usr/bin /bin --ro-bind /etc /etc --bind')
  expect(onThisMachine).not.toContain('/lab/server/etc')
})
