import { dirname } from 'node:path'
import {
  boardOfCompatible,
  channelRecordsPath,
  deviceLabelsPath,
  lastLookPath,
  osUpgradeSettingsPath,
  serverAuthoritiesPath,
  wanInterface,
} from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { readBootState } from '../slots/boot-environment.ts'
import { type BootState, otherSlot } from '../slots/boot-state.ts'
import type { FailedVersion, SlotRecords } from '../slots/records.ts'
import { readRecords } from '../slots/slot-store.ts'
import { readSystemFacts } from '../system-facts.ts'
import { publicAuthoritiesPath } from './authorities.ts'
import { parseDeviceId } from './device-id.ts'
import { readRaucInfo } from './install.ts'
import { readLabels } from './labels.ts'
import { type Look, look } from './look.ts'
import { parseUpgradeSettings, type UpgradeSettings } from './settings.ts'

export const authorityPaths = { public: publicAuthoritiesPath, private: serverAuthoritiesPath }

/** Without an answer: the server was not asked, or has nothing for this device. */
export interface ServerWord extends Look {
  readonly runningVersion: string
  /** By the operator's settings. */
  readonly downloadBytesPerSMax?: number | undefined
}

/** Fetching a hundred megabytes that are refused again helps nobody; a server that was mended is noticed in a day. */
const refusedForMs = 24 * 3_600_000

/**
 * Asks the server of the configuration and decides. An unconfirmed system does not ask. With `remember` the number of
 * the channel is kept. Throws UpdateServerError, or an Error about the settings.
 */
export async function askServer({ remember }: { readonly remember: boolean }): Promise<ServerWord> {
  const [{ slot, version: runningVersion, compatible }, boot, records, settingsText, address, labels] =
    await Promise.all([
      readSystemFacts(),
      readBootState(),
      readRecords(),
      readOptional(osUpgradeSettingsPath),
      readOptional(`/sys/class/net/${wanInterface}/address`),
      readLabels(deviceLabelsPath),
    ])
  const notAsked = (reason: string): ServerWord => ({
    runningVersion,
    channel: undefined,
    answer: undefined,
    decision: { action: 'none', reason },
  })
  if (settingsText === undefined) return notAsked('no update server is configured')
  if (slot === undefined || boot.state[slot] !== 'confirmed') {
    return notAsked('the running slot is not confirmed yet; the other slot is what it would fall back to')
  }
  const board = boardOfCompatible(compatible)
  if (board === undefined) return notAsked(`"${compatible}" in os-release names no board of ours`)
  const nowMs = Date.now()
  const { downloadBytesPerSMax, ...settings } = readSettings(settingsText)
  const seen = await look({
    ...settings,
    board,
    labels,
    deviceId: address === undefined ? undefined : parseDeviceId(address),
    runningVersion,
    runningSlot: 'confirmed',
    failedVersions: [...records.failedVersions, ...recentlyRefused(records, nowMs)],
    waitingVersion: waitingVersion(boot, records, otherSlot(slot)),
    authorities: authorityPaths,
    nowMs,
    channelRecordsPath,
    remember,
    readInfo: readRaucInfo,
    scratchFolder: dirname(lastLookPath),
  })
  return { runningVersion, downloadBytesPerSMax, ...seen }
}

function readSettings(text: string): UpgradeSettings {
  try {
    return parseUpgradeSettings(text)
  } catch (error) {
    throw new Error(`${osUpgradeSettingsPath}: ${(error as Error).message}`)
  }
}

function recentlyRefused(records: SlotRecords, nowMs: number): FailedVersion[] {
  return records.refusedVersions.filter(({ time }) => Math.abs(nowMs - Date.parse(time)) < refusedForMs)
}

/** What is installed into the other slot, which the next start takes. */
export function waitingVersion(boot: BootState, records: SlotRecords, other: 'A' | 'B'): string | undefined {
  const waits = boot.state[other] === 'pending' && boot.order[0] === other && boot.left[other] !== 0
  return waits ? records.slots[other]?.version : undefined
}
