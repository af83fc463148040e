/** The parts of a device's life that the campaign cuts, and how the points are spread over them. Pure. */

export const phases = [
  'partitioning',
  'first-boot',
  'provisioning',
  'restart',
  'install',
  'environment',
  'confirmation',
  'configuration',
  'factory-reset',
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
  configuration:
    'a bundle is applied over a configuration, another one over that, and a third change is taken back',
  'factory-reset': 'from the order to the new system that waits for a configuration: /data is made anew',
}

/**
 * Recorded and never cut: preparations of the story, what only a defect cuts, and the end.
 */
export type Uncut = 'aside' | 'in-place' | 'end'

export const uncut: readonly string[] = ['aside', 'in-place', 'end'] satisfies Uncut[]

/** Where the recorded machine was when the log had so many bytes. */
export interface Mark {
  readonly phase: Exclude<Phase, 'partitioning' | 'environment'> | Uncut
  readonly logBytes: number
}

const weights: Readonly<Record<Phase, number>> = {
  partitioning: 13,
  'first-boot': 6,
  provisioning: 6,
  restart: 8,
  install: 20,
  environment: 20,
  confirmation: 8,
  configuration: 12,
  'factory-reset': 7,
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
