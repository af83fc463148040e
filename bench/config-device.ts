import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { apiPort } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { boards } from '@atomixos/system'
import {
  type BootFigures,
  bootFigures,
  parseCriticalChain,
  parseUnitCosts,
  readBytes,
} from './boot-figures.ts'

export interface DeviceFigures {
  readonly boot: BootFigures
  /** Of the file system of the root, compressed, by a start; blocks that were read twice count twice. */
  readonly root: { readonly readBytes: number; readonly sizeBytes: number }
  readonly api: {
    /** From the connection to a socket whose services are not running, to the end of the answer. Median. */
    readonly coldMs: number
    readonly warmMs: number
    /** Node with nothing to do, from its start to its end, on the same machine. Median. */
    readonly bareNodeMs: number
    readonly rounds: number
  }
  readonly idle: {
    /** Of ours, when nobody asks for anything: programs that Node runs. */
    readonly nodeProcesses: number
    readonly nodePssKib: number
    /** Services that our modules declare and that stay, whatever program they run. */
    readonly services: readonly { readonly unit: string; readonly memoryKib: number }[]
    readonly usedKib: number
  }
}

/** The shell in the guest, and the mount that starts it: docs/machine.md. */
const driverUnits = new Set(['a.service', 'run-vm\\x2dagent.mount.mount'])

/** A provisioned gateway with one container, started once more and then left alone. */
export async function measureDevice(rounds: number): Promise<DeviceFigures> {
  // They read at once what the command has prepared, which is not there for --help.
  const { provisionedGateway } = await import('@atomixos/e2e/provisioned.ts')
  const { manifest, storyDir } = await import('@atomixos/e2e/setup.ts')
  const { addRequiredContainer, waitUntilUp, waitUntilVerified } = await import('@atomixos/e2e/gateway.ts')
  const dir = await storyDir('bench-config')
  await using device = await provisionedGateway(join(dir, 'device'))
  const { gateway } = device
  await addRequiredContainer(gateway)
  await gateway.stop()
  await gateway.start()
  await waitUntilUp(gateway)
  await waitUntilVerified(gateway)
  // Before anything else is asked: each program that answers is read, too.
  const root = {
    // The one device of the mapper is the root that dm-verity checks.
    readBytes: readBytes(await gateway.succeed('cat /proc/diskstats'), 'dm-0'),
    sizeBytes: manifest.artifacts.find(({ name }) => name === 'rootfs.squashfs')!.sizeBytes,
  }
  const boot = await readBoot(gateway)
  const api = await measureApi(gateway, rounds)
  const idle = await measureIdle(gateway)
  await rm(dir, { recursive: true, force: true })
  return { boot, root, api, idle }
}

const ownUnits: ReadonlySet<string> = new Set(
  boards.rock64!.rootfs.modules.flatMap((module) => Object.keys(module.units ?? {})),
)

async function readBoot(gateway: Machine): Promise<BootFigures> {
  const shown = await gateway.succeed("systemctl show '*' -p Id,CPUUsageNSec,ExecStart", {
    timeoutMs: 120_000,
  })
  const chain = await gateway.succeed('systemd-analyze critical-chain --no-pager', { timeoutMs: 120_000 })
  const usage = await gateway.succeed('awk \'$1 == "usage_usec" { print $2 }\' /sys/fs/cgroup/cpu.stat')
  return bootFigures({
    // Slices and scopes hold what their services have used already.
    costs: parseUnitCosts(shown).filter(({ unit }) => !/\.(?:slice|scope)$/.test(unit)),
    chain: parseCriticalChain(chain),
    systemCpuMs: Number(usage) / 1000,
    ownUnits,
    driverUnits,
  })
}

async function measureApi(gateway: Machine, rounds: number): Promise<DeviceFigures['api']> {
  const ask = `curl -sS -o /dev/null -w '%{time_total}\\n' --max-time 120 http://127.0.0.1:${apiPort}/api/health`
  const stop = 'systemctl stop api-front.service config-worker.service'
  const times: Record<'cold' | 'warm' | 'bare', number[]> = { cold: [], warm: [], bare: [] }
  for (let round = 0; round < rounds; round++) {
    await gateway.succeed(stop, { timeoutMs: 120_000 })
    times.cold.push(Number(await gateway.succeed(ask, { timeoutMs: 180_000 })) * 1000)
    times.warm.push(Number(await gateway.succeed(ask, { timeoutMs: 180_000 })) * 1000)
    const node = '/usr/lib/atomixos/node -e 0'
    const said = await gateway.succeed(`a=$(date +%s%N); ${node}; b=$(date +%s%N); echo $((b - a))`)
    times.bare.push(Number(said) / 1e6)
  }
  await gateway.succeed(stop, { timeoutMs: 120_000 })
  const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!
  return {
    coldMs: median(times.cold),
    warmMs: median(times.warm),
    bareNodeMs: median(times.bare),
    rounds,
  }
}

async function measureIdle(gateway: Machine): Promise<DeviceFigures['idle']> {
  const node = await gateway.succeed(`for process in /proc/[0-9]*; do
  [ "$(readlink $process/exe)" = /usr/lib/atomixos/node ] || continue
  awk '$1 == "Pss:" { print $2 }' $process/smaps_rollup
done`)
  const sizes = node.split('\n').filter(Boolean).map(Number)
  const shown = await gateway.succeed("systemctl show '*.service' -p Id,SubState,MemoryCurrent", {
    timeoutMs: 120_000,
  })
  const services = shown.split('\n\n').flatMap((block) => {
    const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? ''
    if (!ownUnits.has(value('Id')) || value('SubState') !== 'running') return []
    return [{ unit: value('Id'), memoryKib: Math.round(Number(value('MemoryCurrent')) / 1024) }]
  })
  const used = await gateway.succeed(
    'awk \'$1 == "MemTotal:" { total = $2 } $1 == "MemAvailable:" { print total - $2 }\' /proc/meminfo',
  )
  return {
    nodeProcesses: sizes.length,
    nodePssKib: sizes.reduce((sum, size) => sum + size, 0),
    services,
    usedKib: Number(used),
  }
}

export function deviceReport({ boot, root, api, idle }: DeviceFigures): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
  const services = idle.services.map(({ unit, memoryKib }) => `${unit} ${(memoryKib / 1024).toFixed(1)} MiB`)
  return [
    'emulated machine: times are several times those of a board, shares and ratios are what to look at',
    '',
    `start of the system, processor time           ${seconds(boot.cpuMs)}`,
    `  units that our modules declare              ${seconds(boot.ours.ms)}, ${percent(boot.ours.share)}`,
    `  of these, units that start Node             ${seconds(boot.node.ms)}, ${percent(boot.node.share)}`,
    ...boot.units.map(({ unit, cpuMs }) => `    ${seconds(cpuMs).padStart(7)}  ${unit}`),
    `read from the root, compressed                ${(root.readBytes / 1e6).toFixed(1)} MB of ${(root.sizeBytes / 1e6).toFixed(1)} MB`,
    `critical chain, sum of its units              ${seconds(boot.chain.totalMs)}`,
    `  units that our modules declare              ${seconds(boot.chain.ours.ms)}, ${percent(boot.chain.ours.share)}`,
    '',
    `API, socket to the first answer, cold         ${api.coldMs.toFixed(0)} ms (median of ${api.rounds})`,
    `  a bare Node, start to end                   ${api.bareNodeMs.toFixed(0)} ms: ${(api.coldMs / api.bareNodeMs).toFixed(1)} times that`,
    `  running already                             ${api.warmMs.toFixed(0)} ms`,
    '',
    `idle, processes of Node                       ${idle.nodeProcesses}, ${(idle.nodePssKib / 1024).toFixed(1)} MiB`,
    `  services of ours that stay                  ${services.join(', ') || 'none'}`,
    `  memory in use, all of the system            ${(idle.usedKib / 1024).toFixed(0)} MiB`,
    '',
  ].join('\n')
}
