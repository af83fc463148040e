/** Which writes are cut, and how. Pure. */
import { type CutKind, cutKinds } from '@atomixos/machine'
import { seededNumbers } from '../seeded.ts'
import { type Phase, phases, spread } from './phases.ts'

/** A write that made a difference, so that without it the disk is another one. */
export interface CutWrite {
  readonly index: number
  readonly phase: Phase
}

export interface Point {
  /** From 1, in the order of the log. */
  readonly number: number
  readonly phase: Phase
  readonly victim: number
  readonly kind: CutKind
  /** Of everything else that is left to chance at this point. */
  readonly seed: number
}

/** The same for the same writes, count and seed. Each phase is covered evenly, with all kinds of cuts in turn. */
export function choosePoints(
  writes: readonly CutWrite[],
  { count, seed }: { readonly count: number; readonly seed: number },
): Point[] {
  const random = seededNumbers(seed)
  const byPhase = (phase: Phase) => writes.filter((write) => write.phase === phase)
  const counts = Object.fromEntries(phases.map((phase) => [phase, byPhase(phase).length]))
  const shares = spread(count, counts as Record<Phase, number>)
  return phases
    .flatMap((phase) => {
      const candidates = byPhase(phase)
      const share = shares[phase]
      return Array.from({ length: share }, (_, place) => {
        const at = Math.floor(((place + random()) / share) * candidates.length)
        return {
          phase,
          victim: candidates[at]!.index,
          kind: cutKinds[place % cutKinds.length]!,
          seed: 1 + Math.floor(random() * 0x7fffffff),
        }
      })
    })
    .sort((a, b) => a.victim - b.victim)
    .map((point, place) => ({ number: place + 1, ...point }))
}

/** `count` of them, each from another phase while there are any. */
export function chooseBoots(points: readonly Point[], count: number, seed: number): Point[] {
  const random = seededNumbers(seed)
  // The first ones are those in which most can go wrong.
  const order: readonly Phase[] = [
    ...(['install', 'configuration', 'factory-reset', 'partitioning', 'environment'] as const),
    ...(['confirmation', 'restart', 'first-boot', 'provisioning'] as const),
  ]
  const left = new Map(order.map((phase) => [phase, points.filter((point) => point.phase === phase)]))
  const chosen: Point[] = []
  while (chosen.length < Math.min(count, points.length)) {
    for (const candidates of left.values()) {
      if (candidates.length === 0 || chosen.length === count) continue
      chosen.push(...candidates.splice(Math.floor(random() * candidates.length), 1))
    }
  }
  return chosen.sort((a, b) => a.number - b.number)
}
