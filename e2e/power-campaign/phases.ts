/** The parts of a device's life that the campaign cuts, and how the points are spread over them. Pure. */

export const phases = [
  'partitioning',
  'first-boot',
  'provisioning',
  'restart',
  'install',
  'environment',
  'confirmation',
] as const

export type Phase = (typeof phases)[number]

export const phaseMeanings: Readonly<Record<Phase, string>> = {
  partitioning: 'first boot, up to the last write of a partition table: /data is formatted, slot B is made',
  'first-boot': 'the rest of the first boot: machine id, host keys, logs',
  provisioning: 'what provisioning writes to /data, and a bundle that is fetched',
  restart: 'from the order to restart until the system is up again, twice',
  install: 'RAUC checks the bundle and writes slot B',
  environment: "every write of U-Boot's environment, by U-Boot, RAUC and the device, whenever it happens",
  confirmation: 'from the system being up to its confirmation: slot A once, then the new release in slot B',
}

/** What the device does not do yet, so that nothing of it can be recorded. */
export const absentPhases: Readonly<Record<string, string>> = {
  'configuration promotion': 'the device has none yet',
  'factory reset': 'the device has none yet',
}

/** Where the recorded machine was when the log had so many bytes. */
export interface Mark {
  readonly phase: Exclude<Phase, 'partitioning' | 'environment'> | 'end'
  readonly logBytes: number
}

const weights: Readonly<Record<Phase, number>> = {
  partitioning: 14,
  'first-boot': 8,
  provisioning: 8,
  restart: 10,
  install: 25,
  environment: 25,
  confirmation: 10,
}

/** How many points each phase gets; they add up. A phase without writes gets none, every other one at least one. */
export function spread(count: number, writes: Readonly<Record<Phase, number>>): Record<Phase, number> {
  const present = phases.filter((phase) => writes[phase] > 0)
  const sum = present.reduce((total, phase) => total + weights[phase], 0)
  const shares = Object.fromEntries(phases.map((phase) => [phase, 0])) as Record<Phase, number>
  let rest = count
  for (const phase of present) {
    shares[phase] = Math.min(rest, Math.max(1, Math.floor((count * weights[phase]) / sum)))
    rest -= shares[phase]
  }
  for (let index = 0; rest > 0 && present.length > 0; index++, rest--)
    shares[present[index % present.length]!]++
  return shares
}
