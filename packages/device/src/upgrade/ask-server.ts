import { osUpgradeSettingsPath, serverAuthoritiesPath, wanInterface } from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { readBootState } from '../slots/boot-environment.ts'
import { type BootState, otherSlot } from '../slots/boot-state.ts'
import type { FailedVersion, SlotRecords } from '../slots/records.ts'
import { readRecords } from '../slots/slot-store.ts'
import { readSystemFacts } from '../system-facts.ts'
import { publicAuthoritiesPath } from './authorities.ts'
import { type Decision, decide } from './decide.ts'
import { parseDeviceId } from './device-id.ts'
import { fetchLatest } from './fetch-latest.ts'
import type { Answer } from './parse-answer.ts'
import { parseUpgradeSettings } from './settings.ts'

export const authorityPaths = { public: publicAuthoritiesPath, private: serverAuthoritiesPath }

export interface ServerWord {
  readonly runningVersion: string
  /** undefined: the server was not asked. */
  readonly answer: Answer | undefined
  readonly decision: Decision
}

/** Fetching a hundred megabytes that are refused again helps nobody; a server that was mended is noticed in a day. */
const refusedForMs = 24 * 3_600_000

/**
 * Asks the server of the configuration and decides. An unconfirmed system does not ask. Throws UpdateServerError, or an
 * Error about the settings.
 */
export async function askServer(): Promise<ServerWord> {
  const [{ slot, version: runningVersion }, boot, records, settingsText, address] = await Promise.all([
    readSystemFacts(),
    readBootState(),
    readRecords(),
    readOptional(osUpgradeSettingsPath),
    readOptional(`/sys/class/net/${wanInterface}/address`),
  ])
  const notAsked = (reason: string): ServerWord => ({
    runningVersion,
    answer: undefined,
    decision: { action: 'none', reason },
  })
  if (settingsText === undefined) return notAsked('no update server is configured')
  if (slot === undefined || boot.state[slot] !== 'confirmed') {
    return notAsked('the running slot is not confirmed yet; the other slot is what it would fall back to')
  }
  const { serverUrl } = readSettings(settingsText)
  const answer = await fetchLatest({
    serverUrl,
    deviceId: address === undefined ? undefined : parseDeviceId(address),
    runningVersion,
    authorities: authorityPaths,
  })
  const decision = decide({
    runningVersion,
    runningSlot: 'confirmed',
    answer,
    failedVersions: [...records.failedVersions, ...recentlyRefused(records, Date.now())],
    waitingVersion: waitingVersion(boot, records, otherSlot(slot)),
  })
  return { runningVersion, answer, decision }
}

function readSettings(text: string): { readonly serverUrl: string } {
  try {
    return parseUpgradeSettings(text)
  } catch (error) {
    throw new Error(`${osUpgradeSettingsPath}: ${(error as Error).message}`)
  }
}

function recentlyRefused(records: SlotRecords, nowMs: number): FailedVersion[] {
  return records.refusedVersions.filter(({ time }) => Math.abs(nowMs - Date.parse(time)) < refusedForMs)
}

function waitingVersion(boot: BootState, records: SlotRecords, other: 'A' | 'B'): string | undefined {
  const waits = boot.state[other] === 'pending' && boot.order[0] === other && boot.left[other] !== 0
  return waits ? records.slots[other]?.version : undefined
}
