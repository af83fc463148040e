import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabHost } from '@atomixos/machine'

/** What a server of NTP says of itself and of the time. */
export interface TimeAnswer {
  /** 0: synchronised; 3: the server does not know the time. */
  readonly leap: number
  readonly stratum: number
  /** Of the server's clock, less this machine's, in whole seconds. */
  readonly offsetSeconds: number
}

/** One question, asked three times at most; undefined: nobody answered. */
export async function askTime(host: LabHost, address: string): Promise<TimeAnswer | undefined> {
  await writeFile(join(host.dir, 'run/ask-time'), program)
  const said = (await host.succeed(['perl', '/run/ask-time', address], { timeoutMs: 30_000 })).trim()
  if (said === '') return undefined
  const [leap, stratum, offsetSeconds] = said.split(' ').map(Number)
  return { leap: leap!, stratum: stratum!, offsetSeconds: offsetSeconds! }
}

// RFC 5905: version 4, client; the answer's time of sending is at byte 40, in seconds since 1900.
const program = String.raw`
use Socket;
socket(my $s, PF_INET, SOCK_DGRAM, 17) or die "socket: $!";
for (1 .. 3) {
  send($s, pack('C', 0x23) . "\0" x 47, 0, pack_sockaddr_in(123, inet_aton($ARGV[0])));
  my $ready = '';
  vec($ready, fileno($s), 1) = 1;
  next unless select($ready, undef, undef, 2);
  defined recv($s, my $packet, 512, 0) or next;
  my ($first, $stratum, $seconds) = unpack('CCx38N', $packet);
  print $first >> 6, " $stratum ", $seconds - 2208988800 - time, "\n";
  last;
}
`
