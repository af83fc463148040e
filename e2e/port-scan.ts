import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabHost } from '@atomixos/machine'

/** What a scan of ports saw; a port that is in neither list said nothing. */
export interface ScanResult {
  readonly open: readonly number[]
  readonly refused: readonly number[]
}

export interface ScanTarget {
  readonly address: string
  /** Address of the host that scans. */
  readonly from: string
  /** `22,80,1000-2000`; all by default. */
  readonly ports?: string
}

/** Half-open, by raw sockets: all TCP ports in about half a minute, silent ones twice; a few ports up to four times. */
export async function scanTcp(host: LabHost, target: ScanTarget): Promise<ScanResult> {
  const [open, refused] = (await runPerl(host, tcpScanner, target)).split('\n')
  return { open: numbers(open), refused: numbers(refused) }
}

/**
 * The same over IPv6, where a card has no address that it tells: `mac` is what its link-local one would be made of, and
 * whom the packets are for. `card`: of the host that scans.
 */
export async function scanTcp6(
  host: LabHost,
  { mac, card, ports = '1-65535' }: { mac: string; card: string; ports?: string },
): Promise<ScanResult> {
  const address = linkLocal(mac)
  await host.succeed(['ip', '-6', 'neigh', 'replace', address, 'lladdr', mac, 'dev', card])
  const link = await host.succeed(['ip', '-o', 'link', 'show', 'dev', card])
  const scope = /^(\d+):/.exec(link)![1]!
  await writeFile(join(host.dir, 'run/scan'), tcp6Scanner)
  const said = await host.succeed(['perl', '/run/scan', address, scope, ports], { timeoutMs: 240_000 })
  const [open, refused] = said.split('\n')
  return { open: numbers(open), refused: numbers(refused) }
}

/** RFC 4291, appendix A. */
export function linkLocal(mac: string): string {
  const [a, b, c, d, e, f] = mac.split(':').map((byte) => Number.parseInt(byte, 16))
  const pair = (high: number, low: number) => ((high << 8) | low).toString(16)
  return `fe80::${pair(a! ^ 2, b!)}:${pair(c!, 0xff)}:${pair(0xfe, d!)}:${pair(e!, f!)}`
}

/** `refused`: how many said so; `open`: ports that answered something. */
export async function scanUdp(
  host: LabHost,
  target: ScanTarget,
): Promise<{ open: number[]; refused: number }> {
  const [open, refused] = (await runPerl(host, udpScanner, target)).split('\n')
  return { open: numbers(open), refused: Number(refused) }
}

async function runPerl(
  host: LabHost,
  program: string,
  { address, from, ports }: ScanTarget,
): Promise<string> {
  await writeFile(join(host.dir, 'run/scan'), program)
  return host.succeed(['perl', '/run/scan', address, from, ports ?? '1-65535'], { timeoutMs: 240_000 })
}

function numbers(list: string | undefined): number[] {
  return (list ?? '').split(',').filter(Boolean).map(Number)
}

const commonLines = String.raw`
use Socket;
my ($to, $from, $ports) = @ARGV;
my @ports = map { /(\d+)-(\d+)/ ? ($1 .. $2) : $_ } split /,/, $ports;
my ($target, $source) = (inet_aton($to), inet_aton($from));
`

// Rounds: a packet may be lost, and an answer late, on a busy machine. The kernel of the host resets what is opened by itself.
const tcpScanner = String.raw`${commonLines}
socket(my $s, PF_INET, SOCK_RAW, 6) or die "raw socket: $!";
setsockopt($s, SOL_SOCKET, 33, pack('i', 16 << 20));
my $own = 40000 + $$ % 20000;
my %seen;
sub look {
  while (defined recv($s, my $packet, 4096, 0x40)) {
    last if $packet eq '';
    next if substr($packet, 12, 4) ne $target;
    my ($port, $for, $flags) = unpack('nnx9C', substr($packet, (ord($packet) & 15) * 4));
    $seen{$port} = $flags & 4 ? 'refused' : 'open' if $for == $own;
  }
}
for my $round (1 .. (@ports > 2000 ? 2 : 4)) {
  my $count = 0;
  for my $port (grep { !$seen{$_} } @ports) {
    my $tcp = pack('nnNNCCnnn', $own, $port, 1000 * $round, 0, 80, 2, 64240, 0, 0);
    my $sum = 0;
    $sum += $_ for unpack('n*', $source . $target . pack('nn', 6, 20) . $tcp);
    $sum = ($sum & 65535) + ($sum >> 16) while $sum >> 16;
    substr($tcp, 16, 2) = pack('n', ~$sum & 65535);
    send($s, $tcp, 0, pack_sockaddr_in(0, $target));
    if (++$count % 32 == 0) { select(undef, undef, undef, 0.008); look() }
  }
  for (1 .. 10) { select(undef, undef, undef, 0.2); look() }
}
for my $kind ('open', 'refused') {
  print join(',', sort { $a <=> $b } grep { $seen{$_} eq $kind } keys %seen), "\n";
}
`

const udpScanner = String.raw`${commonLines}
socket(my $errors, PF_INET, SOCK_RAW, 1) or die "raw socket: $!";
socket(my $s, PF_INET, SOCK_DGRAM, 17) or die "socket: $!";
bind($s, pack_sockaddr_in(0, $source)) or die "bind: $!";
my ($refused, %seen) = (0);
sub look {
  while (defined recv($errors, my $packet, 4096, 0x40)) {
    last if $packet eq '';
    $refused++ if substr($packet, 12, 4) eq $target && ord(substr($packet, (ord($packet) & 15) * 4)) == 3;
  }
  while (my $sender = recv($s, my $answer, 4096, 0x40)) { $seen{(unpack_sockaddr_in($sender))[0]} = 1 }
}
my $count = 0;
for my $port (@ports) {
  send($s, "\0" x 12, 0, pack_sockaddr_in($port, $target));
  if (++$count % 32 == 0) { select(undef, undef, undef, 0.008); look() }
}
for (1 .. 10) { select(undef, undef, undef, 0.2); look() }
print join(',', sort { $a <=> $b } keys %seen), "\n$refused\n";
`

const tcp6Scanner = String.raw`
use Socket;
my ($to, $scope, $ports) = @ARGV;
my @ports = map { /(\d+)-(\d+)/ ? ($1 .. $2) : $_ } split /,/, $ports;
my $target = Socket::inet_pton(AF_INET6, $to);
socket(my $s, PF_INET6, SOCK_RAW, 6) or die "raw socket: $!";
setsockopt($s, SOL_SOCKET, 33, pack('i', 16 << 20));
# IPV6_CHECKSUM: the kernel puts it there, 16 bytes into what is sent.
setsockopt($s, 41, 7, pack('i', 16)) or die "checksum: $!";
my $own = 40000 + $$ % 20000;
my %seen;
sub look {
  while (defined(my $sender = recv($s, my $packet, 4096, 0x40))) {
    last if $packet eq '';
    next if (unpack_sockaddr_in6($sender))[1] ne $target;
    my ($port, $for, $flags) = unpack('nnx9C', $packet);
    $seen{$port} = $flags & 4 ? 'refused' : 'open' if $for == $own;
  }
}
for my $round (1 .. (@ports > 2000 ? 2 : 4)) {
  my $count = 0;
  for my $port (grep { !$seen{$_} } @ports) {
    my $tcp = pack('nnNNCCnnn', $own, $port, 1000 * $round, 0, 80, 2, 64240, 0, 0);
    send($s, $tcp, 0, pack_sockaddr_in6(0, $target, $scope));
    if (++$count % 32 == 0) { select(undef, undef, undef, 0.008); look() }
  }
  for (1 .. 10) { select(undef, undef, undef, 0.2); look() }
}
for my $kind ('open', 'refused') {
  print join(',', sort { $a <=> $b } grep { $seen{$_} eq $kind } keys %seen), "\n";
}
`
