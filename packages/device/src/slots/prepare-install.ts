import type { ReleaseFile, SlotName } from '@atomixos/config'
import gt from 'semver/functions/gt.js'
import valid from 'semver/functions/valid.js'
import { type BootChange, type BootState, otherSlot } from './boot-state.ts'
import { type HealthBefore, type SlotRecords, withSlot } from './records.ts'

/** What is about to be installed, as the bundle says; its signature vouches for that. */
export type Candidate = ReleaseFile

/** undefined: not as our builder writes it. */
export function parseCandidate(text: string | undefined): Candidate | undefined {
  try {
    const { compatible, version } = JSON.parse(text ?? '') as Partial<Record<string, unknown>>
    return typeof compatible === 'string' && typeof version === 'string' ? { compatible, version } : undefined
  } catch {
    return undefined
  }
}

export interface InstallSituation {
  readonly slot: SlotName
  readonly runningVersion: string
  readonly systemCompatible: string
  readonly candidate: Candidate
  readonly boot: BootState
  readonly records: SlotRecords
  readonly before: HealthBefore
  /** Somebody asked for this very version by hand: older and given-up ones are taken then. */
  readonly allowedByHand: boolean
  readonly now: string
}

export type InstallDecision =
  | { readonly install: false; readonly reason: string }
  | { readonly install: true; readonly change: BootChange; readonly records: SlotRecords }

/**
 * The last word before a slot is written, whoever asked RAUC for the installation. Refusing changes nothing; with the
 * change the target slot is nothing that U-Boot would start, in one write. Pure.
 */
export function prepareInstall(situation: InstallSituation): InstallDecision {
  const refusal = reasonToRefuse(situation)
  if (refusal !== undefined) return { install: false, reason: refusal }
  const { slot, candidate, records, before, now } = situation
  const target = otherSlot(slot)
  return {
    install: true,
    change: { order: [slot], left: { [target]: 0 }, state: { [target]: 'pending' } },
    records: {
      ...withSlot(records, target, { state: 'pending', version: candidate.version, since: now }),
      before,
    },
  }
}

function reasonToRefuse(situation: InstallSituation): string | undefined {
  const { slot, runningVersion, systemCompatible, candidate, boot, records, allowedByHand } = situation
  if (candidate.compatible !== systemCompatible) {
    return `it is for "${candidate.compatible}", this is "${systemCompatible}"`
  }
  if (valid(candidate.version) === null) return `its version "${candidate.version}" is not a semantic version`
  if (boot.state[slot] !== 'confirmed') {
    return `the running slot ${slot} is not confirmed yet: the other slot may be the only good one`
  }
  if (allowedByHand) return undefined
  const failed = records.failedVersions.find(({ version }) => version === candidate.version)
  if (failed) return `version ${failed.version} was given up on ${failed.time}: ${failed.reason}`
  if (valid(runningVersion) !== null && gt(runningVersion, candidate.version)) {
    return `version ${candidate.version} is older than ${runningVersion}, which runs`
  }
  return undefined
}
