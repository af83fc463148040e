/** Floods from the WAN: the LAN is served all the while, nothing fills up, and soon after it is as if nothing was. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { firewallInboundPath } from '@atomixos/config'
import type { LabHost, LabProcess, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askTime } from './ask-time.ts'
import { lanAddress, lanMachine, listen, reloadNetwork, wanAddressOf } from './operator-network.ts'
import { perlChecksum } from './perl-checksum.ts'
import { type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

const floodSeconds = 15
const openPort = 443

describe('flood', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let machine: LabHost
  let wanAddress: string
  /** What asking for everything takes when nothing else is going on. */
  let usualMs: number

  beforeAll(async () => {
    device = await provisionedGateway(join(await storyDir('flood'), 'device'))
    gateway = device.gateway
    machine = await lanMachine(device.network)
    wanAddress = await wanAddressOf(gateway)
    await listen(gateway, [openPort])
    await gateway.writeFile(firewallInboundPath, JSON.stringify({ wan: { tcp: [openPort] } }))
    expect(await reloadNetwork(gateway)).toMatchObject({ exitCode: 0, stderr: '' })
    await writeFile(join(device.network.provider.dir, 'run/flood'), flood)
    const started = performance.now()
    await allServices()
    usualMs = performance.now() - started
  })
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const startFlood = (kind: string): Promise<LabProcess> =>
    // It counts by the clock of the day, which may be set meanwhile: two seconds more, so that they are fifteen at least.
    device.network.provider.spawn(['perl', '/run/flood', wanAddress, kind, String(floodSeconds + 2)])

  const number = async (command: string) => Number(await gateway.succeed(command, { timeoutMs: 60_000 }))
  const journalLines = () => number('journalctl --no-pager --quiet -o cat | wc -l')
  const trackedConnections = () => number('cat /proc/sys/net/netfilter/nf_conntrack_count')
  const connections = () => number('cat /proc/sys/net/netfilter/nf_conntrack_max')

  /** An address, a name and the time, as a machine of the LAN asks for them. */
  async function lanServices(): Promise<void> {
    await machine.succeed(
      ['udhcpc', '-i', 'lan', '-n', '-q', '-f', '-t', '5', '-T', '2', '-B', '-s', '/bin/true'],
      { timeoutMs: 30_000 },
    )
    await machine.succeed(
      ['sh', '-c', `echo nameserver ${lanAddress} >/etc/resolv.conf; getent ahostsv4 atomixos.local`],
      { timeoutMs: 30_000 },
    )
    expect(await askTime(machine, lanAddress)).toMatchObject({ leap: 0 })
  }

  /** And the port of the operator's, from the WAN. */
  async function allServices(): Promise<void> {
    await lanServices()
    await device.network.provider.waitUntilSucceeds(
      ['sh', '-c', `timeout 5 socat -u TCP4:${wanAddress}:${openPort},connect-timeout=3 - | grep -q here`],
      { timeoutMs: 30_000 },
    )
  }

  test.each([
    ['syn-closed', 'connections to a closed port, from addresses that are made up'],
    ['syn-open', 'connections to an open port, from addresses that are made up'],
    ['udp', 'datagrams to closed ports'],
    ['fragments', 'first fragments of datagrams that never become whole'],
  ])('%s: %s', async (kind) => {
    const before = await journalLines()
    const started = performance.now()
    {
      await using attacker = await startFlood(kind)
      await attacker.waitForOutput(/sent 1000$/m, { timeoutMs: 30_000 })
      await lanServices()
      expect(await trackedConnections()).toBeLessThan((await connections()) * 0.8)
      const said = await attacker.waitForOutput(/^done: (\d+) packets$/m, { timeoutMs: 120_000 })
      // It was a flood: a thousand packets a second, most of the time.
      expect(Number(/\d+/.exec(said)![0])).toBeGreaterThan(floodSeconds * 500)
      expect(performance.now() - started).toBeGreaterThan(floodSeconds * 1000)
    }
    const ended = performance.now()
    await allServices()
    expect(performance.now() - ended).toBeLessThan(10_000 + usualMs)
    expect(await gateway.failedUnits()).toEqual([])
    // Nothing is logged for a packet: what else the system says in that time is a few lines.
    expect((await journalLines()) - before).toBeLessThan(60)
  })

  test('nothing of it is left in the table of connections a minute later, nor in memory', async () => {
    await sleep(60_000)
    expect(await trackedConnections()).toBeLessThan(500)
    const available = await number("awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo")
    expect(available).toBeGreaterThan(400)
  })
})

/**
 * Raw packets, as fast as one process makes them but no more than 4,000 a second: more than that the emulated processor
 * does not even receive. Source addresses are made up, but for the fragments and datagrams.
 */
const flood = String.raw`${perlChecksum}
use Socket;
my ($to, $kind, $seconds) = @ARGV;
$| = 1;
my $target = inet_aton($to);
my $address = pack_sockaddr_in(0, $target);
socket(my $s, PF_INET, SOCK_RAW, 255) or die "raw socket: $!";
sub packet {
  my ($source, $protocol, $fragment, $payload) = @_;
  my $header = pack('CCnnnCCna4a4', 0x45, 0, 20 + length $payload, int rand 65536, $fragment, 64, $protocol, 0, $source, $target);
  substr($header, 10, 2) = sum($header);
  return $header . $payload;
}
my $own = inet_aton('203.0.113.1');
my ($count, $start) = (0, time);
while (time - $start <= $seconds) {
  for (1 .. 40) {
    my $made = pack('C4', 198, 18 + int rand 2, int rand 256, 1 + int rand 254);
    my $data;
    if ($kind =~ /^syn/) {
      my $port = $kind eq 'syn-open' ? 443 : 444;
      my $tcp = pack('nnNNCCnnn', 1024 + int rand 60000, $port, int rand 2**32, 0, 80, 2, 64240, 0, 0);
      substr($tcp, 16, 2) = sum($made . $target . pack('nn', 6, 20) . $tcp);
      $data = packet($made, 6, 0, $tcp);
    } elsif ($kind eq 'udp') {
      $data = packet($own, 17, 0, pack('nnnn', 1024 + int rand 60000, 1 + int rand 65535, 8 + 64, 0) . "\0" x 64);
    } else {
      $data = packet($own, 17, 0x2000, pack('nnnn', 1024 + int rand 60000, 443, 8 + 1024, 0) . "\0" x 512);
    }
    send($s, $data, 0, $address);
    print "sent $count\n" if ++$count % 1000 == 0;
  }
  select(undef, undef, undef, 0.01);
}
print "done: $count packets\n";
`
