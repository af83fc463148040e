import { type SlotName, type SlotState, slotStates } from '@atomixos/config'

/** What is remembered of a slot beside its state in U-Boot's environment. */
export interface SlotRecord {
  readonly state: SlotState
  readonly version: string
  /** ISO 8601, when the slot came into this state. */
  readonly since: string
  /** Why it is in this state. */
  readonly reason?: string
  /** The failed health check, noted before the restart that follows it. */
  readonly failure?: { readonly check: string; readonly reason: string; readonly time: string }
}

/** A version that was installed and given up; not installed again unless somebody asks for it by hand. */
export interface FailedVersion {
  readonly version: string
  readonly reason: string
  /** ISO 8601. */
  readonly time: string
}

/** How healthy the system was when the last installation began. */
export interface HealthBefore {
  readonly version: string
  readonly failing: readonly { readonly check: string; readonly message: string }[]
}

export interface SlotRecords {
  readonly slots: Readonly<Partial<Record<SlotName, SlotRecord>>>
  readonly failedVersions: readonly FailedVersion[]
  /** Offered by the server and refused by RAUC: not fetched again at the next poll, but some time later. */
  readonly refusedVersions: readonly FailedVersion[]
  readonly before: HealthBefore | undefined
}

export const noRecords: SlotRecords = {
  slots: {},
  failedVersions: [],
  refusedVersions: [],
  before: undefined,
}

const failedVersionsMax = 20

export function withSlot(records: SlotRecords, slot: SlotName, record: SlotRecord): SlotRecords {
  return { ...records, slots: { ...records.slots, [slot]: record } }
}

export function withFailedVersion(records: SlotRecords, failed: FailedVersion): SlotRecords {
  const others = records.failedVersions.filter(({ version }) => version !== failed.version)
  return { ...records, failedVersions: [...others, failed].slice(-failedVersionsMax) }
}

export function withRefusedVersion(records: SlotRecords, refused: FailedVersion): SlotRecords {
  const others = records.refusedVersions.filter(({ version }) => version !== refused.version)
  return { ...records, refusedVersions: [...others, refused].slice(-failedVersionsMax) }
}

export function withoutFailedVersion(records: SlotRecords, version: string): SlotRecords {
  const failedVersions = records.failedVersions.filter((failed) => failed.version !== version)
  return { ...records, failedVersions }
}

export function renderRecords(records: SlotRecords): string {
  return `${JSON.stringify({ format: 1, ...records }, undefined, 2)}\n`
}

/** Whatever is not as we write it is left out: the environment of U-Boot decides, this file explains. */
export function parseRecords(text: string | undefined): SlotRecords {
  if (text === undefined) return noRecords
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return noRecords
  }
  if (!isObject(value) || value.format !== 1) return noRecords
  const slots = isObject(value.slots) ? value.slots : {}
  return {
    slots: {
      ...(isSlotRecord(slots.A) && { A: slots.A }),
      ...(isSlotRecord(slots.B) && { B: slots.B }),
    },
    failedVersions: listOf(value.failedVersions),
    refusedVersions: listOf(value.refusedVersions),
    before: isHealthBefore(value.before) ? value.before : undefined,
  }
}

type Fields = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasTexts(value: unknown, ...names: readonly string[]): value is Fields {
  return isObject(value) && names.every((name) => typeof value[name] === 'string')
}

function isSlotRecord(value: unknown): value is SlotRecord {
  return (
    hasTexts(value, 'state', 'version', 'since') &&
    slotStates.some((state) => state === value.state) &&
    (value.reason === undefined || typeof value.reason === 'string') &&
    (value.failure === undefined || hasTexts(value.failure, 'check', 'reason', 'time'))
  )
}

function listOf(value: unknown): FailedVersion[] {
  return Array.isArray(value) ? value.filter(isFailedVersion) : []
}

function isFailedVersion(value: unknown): value is FailedVersion {
  return hasTexts(value, 'version', 'reason', 'time')
}

function isHealthBefore(value: unknown): value is HealthBefore {
  return (
    hasTexts(value, 'version') &&
    Array.isArray(value.failing) &&
    value.failing.every((failing) => hasTexts(failing, 'check', 'message'))
  )
}
