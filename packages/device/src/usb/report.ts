import type { RecordedEvent, SlotName } from '@atomixos/config'
import { oneLine } from '@atomixos/config'
import type { SlotStatus } from '../status.ts'
import type { SeenUpdate } from './judge-updates.ts'

/** What came of a stick. */
export interface StickResult {
  /** `nothing`: there is nothing for this device to do. `failed`: it was taken, and did not get to its end. */
  readonly result: 'installed' | 'nothing' | 'failed'
  readonly version: string | undefined
  readonly reason: string
  readonly seen: readonly SeenUpdate[]
}

/** What is written to the stick, for people and for programs. */
export interface StickReport extends StickResult {
  readonly format: 1
  /** ISO 8601, by the clock of the device, which may never have been set. */
  readonly time: string
  /** eth0's MAC, as update servers know it; undefined: it has none. */
  readonly deviceId: string | undefined
  readonly runningVersion: string
  readonly slot: SlotName | undefined
  readonly slots: Readonly<Record<SlotName, SlotStatus>>
  /** The newest ones of the device, in order. */
  readonly events: readonly RecordedEvent[]
}

export const reportFolder = 'atomixos-reports'
export const reportEventsMax = 20

/** Without an ending; each device has its own, so that one stick can go to many. */
export function reportName(deviceId: string | undefined): string {
  return deviceId ?? 'unknown-device'
}

/** As text. What others have written comes as plain lines. */
export function renderReport(report: StickReport): string {
  const { result, version, reason } = report
  const words = {
    installed: `version ${version} is installed`,
    nothing: 'nothing was installed',
    failed: `version ${version} was NOT installed`,
  }
  const rows: [string, string][] = [
    ['Result', `${words[result]}: ${reason}`],
    [
      'Device',
      `${report.deviceId ?? 'without an id'}, version ${report.runningVersion}, slot ${report.slot}`,
    ],
    ['Time', `${report.time}, by the clock of the device`],
    ...report.seen.map(({ file, version: of, refused }): [string, string] => [
      'Found',
      `${file}${of === undefined ? '' : `, version ${of}`}: ${refused ?? 'good for this device'}`,
    ]),
    ...(['A', 'B'] as const).map((slot): [string, string] => [
      `Slot ${slot}`,
      renderSlot(report.slots[slot]),
    ]),
    ...report.events.map(({ time, event, slot, version: of, reason: why }): [string, string] => [
      'Event',
      [time, event, slot, of, why].filter((part) => part !== null && part !== undefined).join(' '),
    ]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(8)}${oneLine(value, 600)}\n`).join('')
}

function renderSlot({ state, version, reason }: SlotStatus): string {
  return [state ?? 'not confirmed', version && `version ${version}`, reason].filter(Boolean).join(', ')
}
