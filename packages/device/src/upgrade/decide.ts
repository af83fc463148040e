import { oneLine } from '@atomixos/config'
import compareVersions from 'semver/functions/compare.js'
import type { FailedVersion } from '../slots/records.ts'
import { type Answer, isVersion } from './parse-answer.ts'

export interface Situation {
  readonly runningVersion: string
  /** Whether the running slot has proved itself; one that has not may be the only thing to fall back from. */
  readonly runningSlot: 'confirmed' | 'pending'
  readonly answer: Answer
  readonly failedVersions: readonly FailedVersion[]
  /** Installed into the other slot, which the next boot takes. */
  readonly waitingVersion?: string | undefined
}

export type Decision = { readonly action: 'install' } | { readonly action: 'none'; readonly reason: string }

/** Whether to install what the server offers. Only what is newer, never twice what has failed. */
export function decide(situation: Situation): Decision {
  const { runningVersion, waitingVersion, answer } = situation
  const offered = answer.version
  const none = (reason: string): Decision => ({ action: 'none', reason })
  if (situation.runningSlot !== 'confirmed') {
    return none('the running slot is not confirmed yet; the other slot is what it would fall back to')
  }
  if (!isVersion(runningVersion)) {
    return none(
      `the running version "${oneLine(runningVersion)}" is no semantic version; nothing can be newer`,
    )
  }
  if (waitingVersion === offered) {
    return none(`version ${offered} is already installed and waits for the reboot`)
  }
  const order = compareVersions(offered, runningVersion)
  if (order === 0) return none(`version ${offered} is not newer: the device runs ${runningVersion}`)
  if (order < 0) {
    return none(
      `version ${offered} is older than the running ${runningVersion}; downgrades are never installed`,
    )
  }
  const failure = situation.failedVersions.find(({ version }) => version === offered)
  if (failure !== undefined) {
    return none(
      `version ${offered} failed here before (${oneLine(failure.reason)}; ${oneLine(failure.time, 40)}); ` +
        'only by hand is it installed again',
    )
  }
  if (
    waitingVersion !== undefined &&
    isVersion(waitingVersion) &&
    compareVersions(offered, waitingVersion) <= 0
  ) {
    return none(`version ${waitingVersion} is installed and waits for the reboot; ${offered} is not newer`)
  }
  return { action: 'install' }
}
