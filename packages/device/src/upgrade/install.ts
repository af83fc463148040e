import { rm, writeFile } from 'node:fs/promises'
import { bundleAllowedMarkerPath, bundleRefusedPath, type SlotName } from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { recordEvents } from '../events/record-events.ts'
import { runProgram } from '../run-program.ts'
import { changeBootState, readBootState } from '../slots/boot-environment.ts'
import { otherSlot } from '../slots/boot-state.ts'
import { withSlot } from '../slots/records.ts'
import { readRecords, writeRecords } from '../slots/slot-store.ts'
import { readSystemFacts } from '../system-facts.ts'

/** What the signed manifest of a bundle says. */
export interface BundleInfo {
  readonly compatible: string
  readonly version: string
}

export type InstallOutcome =
  | { readonly installed: true; readonly slot: SlotName }
  /** `touched`: the other slot was written and holds half a system now. */
  | { readonly installed: false; readonly reason: string; readonly touched: boolean }

const infoTimeoutMs = 60_000
/** Two gigabytes on the slowest flash there is. */
const installTimeoutMs = 3_600_000

/** Verifies the signature. Throws an Error with RAUC's reason. */
export async function readBundleInfo(path: string): Promise<BundleInfo> {
  const result = await runProgram(['/usr/bin/rauc', 'info', '--output-format=json', path], {
    timeoutMs: infoTimeoutMs,
  })
  if (result.exitCode !== 0) throw new Error(raucReason(result.stderr))
  const { compatible, version } = JSON.parse(result.stdout) as Partial<Record<string, unknown>>
  if (typeof compatible !== 'string' || typeof version !== 'string') {
    throw new Error('the bundle has no version or no compatible')
  }
  return { compatible, version }
}

/** All that RAUC says of a signed file, as JSON, once it has verified the signature. Throws an Error with its reason. */
export async function readRaucInfo(path: string): Promise<string> {
  const argv = ['/usr/bin/rauc', 'info', '--output-format=json-2', path] as const
  const result = await runProgram(argv, { timeoutMs: infoTimeoutMs })
  if (result.exitCode !== 0) throw new Error(raucReason(result.stderr))
  return result.stdout
}

/**
 * Has RAUC install a bundle into the slot that does not run. With `allowOlder` a version that is older or was given up
 * is taken. What happened is in the event log when this returns.
 */
export async function installBundle(
  path: string,
  { version, allowOlder }: { readonly version: string; readonly allowOlder: boolean },
): Promise<InstallOutcome> {
  const { slot } = await readSystemFacts()
  if (slot === undefined) throw new Error('the running slot is not known: not started by our selector')
  const target = otherSlot(slot)
  await rm(bundleRefusedPath, { force: true })
  if (allowOlder) await writeFile(bundleAllowedMarkerPath, `${version}\n`, { mode: 0o600 })
  try {
    const result = await runProgram(['/usr/bin/rauc', 'install', path], { timeoutMs: installTimeoutMs })
    if (result.exitCode === 0) {
      recordEvents([{ event: 'installed', slot: target, version }])
      return { installed: true, slot: target }
    }
    return await concludeFailure(target, version, await failureReason(result.stderr))
  } finally {
    await rm(bundleAllowedMarkerPath, { force: true })
  }
}

/** RAUC takes the target out of the order before it writes: what is still in it was not touched. */
async function concludeFailure(target: SlotName, version: string, reason: string): Promise<InstallOutcome> {
  const [boot, records] = await Promise.all([readBootState(), readRecords()])
  const touched = boot.state[target] === 'pending' && !boot.order.includes(target)
  if (!touched) {
    recordEvents([{ event: 'update-refused', slot: target, version, reason }])
    return { installed: false, reason, touched }
  }
  await changeBootState(boot, { left: { [target]: 0 }, state: { [target]: 'failed' } })
  const failed = { state: 'failed', version, since: new Date().toISOString(), reason } as const
  await writeRecords(records, withSlot(records, target, failed))
  recordEvents([{ event: 'install-failed', slot: target, version, reason }])
  return { installed: false, reason, touched }
}

/** Our handler's reason, else what RAUC keeps as its last error, else the end of what it said. */
async function failureReason(stderr: string): Promise<string> {
  const refused = (await readOptional(bundleRefusedPath))?.trim()
  if (refused) return refused
  const asked = await runProgram(
    [
      ...(['/usr/bin/busctl', '--json=short', 'get-property', 'de.pengutronix.rauc', '/'] as const),
      ...['de.pengutronix.rauc.Installer', 'LastError'],
    ],
    { timeoutMs: 10_000 },
  )
  return parseLastError(asked.stdout) ?? raucReason(stderr)
}

/** From `busctl --json=short get-property`; undefined: there is none. */
export function parseLastError(text: string): string | undefined {
  try {
    const { data } = JSON.parse(text) as { data?: unknown }
    return typeof data === 'string' && data !== '' ? data : undefined
  } catch {
    return undefined
  }
}

/** The end of what RAUC's command line said. */
export function raucReason(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('rauc-Message:'))
  return lines.at(-1) ?? 'RAUC gave no reason'
}
