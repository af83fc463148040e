/** What systemd and the kernel say of a start, as figures. Pure. */

export interface UnitCost {
  readonly unit: string
  readonly cpuMs: number
  /** Starts a program of ours, and with it Node. */
  readonly node: boolean
}

/** Of `systemctl show '*.service' -p Id,CPUUsageNSec,ExecStart`: units that have used the processor, the dearest first. */
export function parseUnitCosts(shown: string): UnitCost[] {
  return shown
    .split('\n\n')
    .flatMap((block) => {
      const value = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(block)?.[1] ?? ''
      const cpuMs = Number(value('CPUUsageNSec')) / 1e6
      // "[not set]" of what has never run; 2^64-1 in older versions.
      if (!Number.isFinite(cpuMs) || cpuMs <= 0 || cpuMs > 1e10) return []
      return [
        { unit: value('Id'), cpuMs, node: /path=\/usr\/(?:bin\/atomixctl|lib\/atomixos\/node) /.test(block) },
      ]
    })
    .toSorted((a, b) => b.cpuMs - a.cpuMs)
}

/**
 * Of `/proc/diskstats` (Documentation/admin-guide/iostats.rst of the kernel): bytes that were read from a device, as they
 * lie on it. 0: there is no such device.
 */
export function readBytes(diskstats: string, device: string): number {
  const fields = diskstats.split('\n').map((line) => line.trim().split(/\s+/))
  const sectors = fields.find(([, , name]) => name === device)?.[5]
  return Number(sectors ?? 0) * 512
}

export interface ChainLink {
  readonly unit: string
  /** How long it took itself; 0 for targets and what was there at once. */
  readonly tookMs: number
}

/** Of `systemd-analyze critical-chain`: what the last unit of the start waited for, the last first. */
export function parseCriticalChain(said: string): ChainLink[] {
  return said.split('\n').flatMap((line) => {
    const match = /^\s*(?:└─)?(\S+\.[a-z]+)(?: @(?<at>[^+]*))?(?:\+(?<took>.*))?$/.exec(line)
    if (!match?.groups?.at && !/└─/.test(line)) return []
    return match ? [{ unit: match[1]!, tookMs: durationMs(match.groups?.took ?? '') }] : []
  })
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, min: 60_000, s: 1000, ms: 1, us: 0.001 }

/** systemd's way of writing times: `1min 39.406s`, `590ms`. */
export function durationMs(text: string): number {
  return [...text.matchAll(/([\d.]+)(h|min|ms|us|s)\b/g)].reduce(
    (sum, [, number, unit]) => sum + Number(number) * unitMs[unit!]!,
    0,
  )
}

export interface BootFigures {
  /** All that the processor did in units until the system had started and its slot was verified, without the driver's shell. */
  readonly cpuMs: number
  /** Of units that our modules declare. */
  readonly ours: Share
  /** Of these, units that start Node. */
  readonly node: Share
  readonly chain: { readonly totalMs: number; readonly ours: Share }
  readonly units: readonly UnitCost[]
}

export interface Share {
  readonly ms: number
  /** 0 to 1. */
  readonly share: number
}

export function bootFigures(input: {
  readonly costs: readonly UnitCost[]
  readonly chain: readonly ChainLink[]
  /** Of the whole system, from the start of the system's own systemd on. */
  readonly systemCpuMs: number
  /** Units that our modules declare. */
  readonly ownUnits: ReadonlySet<string>
  /** Units of the machine's driver: no part of the product. */
  readonly driverUnits: ReadonlySet<string>
}): BootFigures {
  const sum = (costs: readonly UnitCost[]) => costs.reduce((total, { cpuMs }) => total + cpuMs, 0)
  const cpuMs = input.systemCpuMs - sum(input.costs.filter(({ unit }) => input.driverUnits.has(unit)))
  const own = input.costs.filter(({ unit }) => input.ownUnits.has(unit))
  const totalMs = input.chain.reduce((total, { tookMs }) => total + tookMs, 0)
  const ownChain = input.chain.filter(({ unit }) => input.ownUnits.has(unit))
  const share = (ms: number, of: number): Share => ({ ms, share: of === 0 ? 0 : ms / of })
  return {
    cpuMs,
    ours: share(sum(own), cpuMs),
    node: share(sum(own.filter(({ node }) => node)), cpuMs),
    chain: {
      totalMs,
      ours: share(
        ownChain.reduce((total, { tookMs }) => total + tookMs, 0),
        totalMs,
      ),
    },
    units: own,
  }
}
