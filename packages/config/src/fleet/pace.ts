/** When a device asks its fleet server again. Pure: `random` gives numbers from 0 up to, but not, 1. */

/**
 * The first question after a start: a fleet whose power comes back does not ask in the same moment. Who is not
 * registered yet was enrolled by somebody who is waiting.
 */
export const firstDelayMsMax = { registered: 30_000, new: 5000 } as const

const backOffMs = { first: 15_000, max: 3_600_000 } as const

export function firstDelayMs(who: keyof typeof firstDelayMsMax, random: () => number): number {
  return Math.floor(random() * firstDelayMsMax[who])
}

/** A fifth to either side: who began together drifts apart. */
export function heartbeatDelayMs(heartbeatS: number, random: () => number): number {
  return Math.floor(heartbeatS * 1000 * (0.8 + 0.4 * random()))
}

/**
 * After so many failures in a row, one at least: twice as long each time, up to an hour, and anywhere in the upper half
 * of that, so that a server that comes back meets its fleet spread out.
 */
export function retryDelayMs(failures: number, random: () => number): number {
  const ceiling = Math.min(backOffMs.max, backOffMs.first * 2 ** Math.min(failures - 1, 20))
  return Math.floor(ceiling * (0.5 + 0.5 * random()))
}
