import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { UserError } from '@atomixos/image/errors.ts'
import type { Machine } from '@atomixos/machine'
import { runBench } from './run-bench.ts'

/**
 * How long the gateway takes for what its LAN waits for, on an emulated machine: times are of the emulation, several
 * times those of a board, so each stands next to something else of the same machine. Prints what it finds, judges
 * nothing.
 */
const help = `Usage: ./atomixos bench network [--rounds N] [--json]

  --rounds N  how often each is measured (default 10); the median is told, and the spread
  --json      the figures as JSON
`

interface Figures {
  readonly medianMs: number
  readonly minMs: number
  readonly maxMs: number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return void process.stdout.write(help)
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
    throw new UserError(`--rounds ${values.rounds}: a whole number from 1 to 1000`, { exitCode: 2 })
  }
  const results = await measureAll(rounds)
  process.stdout.write(values.json ? `${JSON.stringify(results, undefined, 2)}\n` : report(results))
}

interface Results {
  readonly rounds: number
  /** `nft -f` of the image's rules, in place of those that hold. */
  readonly loadRules: Figures
  /** The same program with an empty file: what the start of a process costs here. */
  readonly loadNothing: Figures
  /** A machine of the LAN asks for an address until it has one. */
  readonly lease: Figures
  /** From power-on until a machine that asks all the time has an address; and until the system is up. */
  readonly firstLeaseMs: number
  readonly systemUpMs: number
}

async function measureAll(rounds: number): Promise<Results> {
  // They read at once what the command has prepared, which is not there for --help.
  const { provisionedGateway } = await import('@atomixos/e2e/provisioned.ts')
  const { storyDir } = await import('@atomixos/e2e/setup.ts')
  const { waitUntilUp } = await import('@atomixos/e2e/gateway.ts')
  const dir = await storyDir('bench-network')
  await using device = await provisionedGateway(join(dir, 'device'))
  const { gateway, network } = device
  const client = await network.lab.host('client', { lan: { mac: '52:54:00:12:ab:cd' } })
  const ask = (...more: string[]) => ['udhcpc', '-i', 'lan', '-f', '-q', '-s', '/bin/true', ...more]

  await gateway.writeFile('/run/nothing.nft', '\n')
  const loadRules = await inGuest(gateway, 'nft -f /etc/nftables.conf', rounds)
  const loadNothing = await inGuest(gateway, 'nft -f /run/nothing.nft', rounds)
  const leases: number[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    await client.succeed(ask('-n', '-t', '5'), { timeoutMs: 60_000 })
    leases.push(performance.now() - started)
  }

  await gateway.succeed('sync')
  await gateway.stop()
  const started = performance.now()
  await gateway.start()
  const [firstLeaseMs, systemUpMs] = await Promise.all(
    [
      client.succeed(ask('-t', '10000', '-T', '1', '-A', '1'), { timeoutMs: 600_000 }),
      waitUntilUp(gateway),
    ].map(async (done) => {
      await done
      return performance.now() - started
    }),
  )
  await rm(dir, { recursive: true, force: true })
  return {
    rounds,
    loadRules,
    loadNothing,
    lease: figures(leases),
    firstLeaseMs: firstLeaseMs!,
    systemUpMs: systemUpMs!,
  }
}

/** Times of a command by the clock of the guest: no way there and back is in them. */
async function inGuest(gateway: Machine, command: string, rounds: number): Promise<Figures> {
  const said = await gateway.succeed(
    `for i in $(seq ${rounds}); do a=$(date +%s%N); ${command} || exit 1; b=$(date +%s%N); echo $((b - a)); done`,
    { timeoutMs: 60_000 + rounds * 10_000 },
  )
  return figures(
    said
      .trim()
      .split('\n')
      .map((nanoseconds) => Number(nanoseconds) / 1e6),
  )
}

function figures(timesMs: readonly number[]): Figures {
  const sorted = timesMs.toSorted((a, b) => a - b)
  return { medianMs: sorted[sorted.length >> 1]!, minMs: sorted[0]!, maxMs: sorted.at(-1)! }
}

function report(results: Results): string {
  const line = (what: string, { medianMs, minMs, maxMs }: Figures) =>
    `${what.padEnd(44)} ${medianMs.toFixed(0).padStart(7)} ms   (${minMs.toFixed(0)} to ${maxMs.toFixed(0)})\n`
  const { loadRules, loadNothing, lease, firstLeaseMs, systemUpMs } = results
  const share = (100 * firstLeaseMs) / systemUpMs
  return [
    `emulated machine, ${results.rounds} rounds\n\n`,
    line('all rules replaced (nft -f)', loadRules),
    line('nft with nothing to do', loadNothing),
    `  of which the rules: ${(loadRules.medianMs / loadNothing.medianMs).toFixed(1)} times the bare program\n`,
    line('a lease for a machine of the LAN', lease),
    `${'power on to the first lease'.padEnd(44)} ${firstLeaseMs.toFixed(0).padStart(7)} ms\n`,
    `${'power on to the system being up'.padEnd(44)} ${systemUpMs.toFixed(0).padStart(7)} ms   (the lease at ${share.toFixed(0)} % of it)\n`,
  ].join('')
}

await runBench(main)
