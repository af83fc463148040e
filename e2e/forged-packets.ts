import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabHost } from '@atomixos/machine'
import { perlChecksum } from './perl-checksum.ts'

/**
 * ICMP echo requests to `through` with a source route on to `target`: a loose one and a strict one (RFC 791, options
 * 131 and 137).
 */
export function sendRouted(host: LabHost, from: string, through: string, target: string): Promise<void> {
  return runPerl(host, routed, [from, through, target])
}

/** Router advertisements with a prefix and a long life, and neighbour advertisements nobody asked for, to all. */
export async function sendAdvertisement(host: LabHost, card: string): Promise<void> {
  const link = await host.succeed(['ip', '-o', 'link', 'show', 'dev', card])
  return runPerl(host, advertisements, [/^(\d+):/.exec(link)![1]!])
}

async function runPerl(host: LabHost, program: string, argv: readonly string[]): Promise<void> {
  await writeFile(join(host.dir, 'run/forge'), program)
  await host.succeed(['perl', '/run/forge', ...argv], { timeoutMs: 30_000 })
}

const routed = `${perlChecksum}
use Socket;
my ($from, $through, $target) = map { inet_aton($_) } @ARGV;
socket(my $s, PF_INET, SOCK_RAW, 255) or die "raw socket: $!";
for my $kind (131, 137) {
  my $echo = pack('CCnnn', 8, 0, 0, 7, $kind) . 'routed';
  substr($echo, 2, 2) = sum($echo);
  my $options = pack('CCCa4C', $kind, 7, 4, $target, 0);
  my $header = pack('CCnnnCCna4a4', 0x47, 0, 28 + length $echo, $kind, 0, 64, 1, 0, $from, $through) . $options;
  substr($header, 10, 2) = sum($header);
  defined send($s, $header . $echo, 0, pack_sockaddr_in(0, $through)) or die "send: $!";
}
`

const advertisements = String.raw`
use Socket;
my ($scope) = @ARGV;
socket(my $s, PF_INET6, SOCK_RAW, 58) or die "raw socket: $!";
# Neighbour discovery is believed with 255 hops only.
setsockopt($s, 41, 18, pack('i', 255)) or die "hops: $!";
my $all = pack_sockaddr_in6(0, Socket::inet_pton(AF_INET6, 'ff02::1'), $scope);
my $prefix = Socket::inet_pton(AF_INET6, '2001:db8:1::');
my $router = pack('CCnCCnNN', 134, 0, 0, 64, 0, 1800, 0, 0)
  . pack('CCCCNNNa16', 3, 4, 64, 0xc0, 86400, 14400, 0, $prefix);
my $neighbour = pack('CCnNa16', 136, 0, 0, 0xa0000000, Socket::inet_pton(AF_INET6, '2001:db8:1::1'))
  . pack('CCa6', 2, 1, "\x52\x54\x00\x66\x00\x99");
for (1 .. 3) {
  for my $message ($router, $neighbour) { defined send($s, $message, 0, $all) or die "send: $!" }
  select(undef, undef, undef, 0.3);
}
`
