import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleAllowedMarkerPath, bundleRefusedPath, releaseFileName, type SlotName } from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { recordEvents } from '../events/record-events.ts'
import { checkHealth } from '../health/observe-health.ts'
import { changeBootState, readBootState } from '../slots/boot-environment.ts'
import { otherSlot } from '../slots/boot-state.ts'
import { parseCandidate, prepareInstall } from '../slots/prepare-install.ts'
import { readRecords, writeRecords } from '../slots/slot-store.ts'
import { payloadDamage } from '../slots/verify-payload.ts'
import { readSystemFacts } from '../system-facts.ts'

/**
 * RAUC's pre-install handler: RAUC has verified the signature and written nothing yet. Any other exit code than 0 stops the
 * installation, and the reason lies where the installer looks for it.
 */
export async function raucPreInstall(environment: NodeJS.ProcessEnv): Promise<number> {
  const [{ slot, version, compatible }, boot, records, health, allowed] = await Promise.all([
    readSystemFacts(),
    readBootState(),
    readRecords(),
    checkHealth(),
    readOptional(bundleAllowedMarkerPath),
  ])
  if (slot === undefined) return refuse('the running slot is not known')
  const mountPoint = environment.RAUC_BUNDLE_MOUNT_POINT ?? '/nowhere'
  const candidate = parseCandidate(await readOptional(join(mountPoint, releaseFileName)))
  if (candidate === undefined) return refuse(`the bundle holds no proper ${releaseFileName}`)
  const failing = health
    .filter(({ ok, weight }) => !ok && weight === 'required')
    .map(({ check, message }) => ({ check, message }))
  const decision = prepareInstall({
    slot,
    runningVersion: version,
    systemCompatible: compatible,
    candidate,
    boot,
    records,
    before: { version, failing },
    allowedByHand: allowed?.trim() === candidate.version,
    now: new Date().toISOString(),
  })
  if (!decision.install) return refuse(decision.reason)
  // Last, since it reads a hundred megabytes.
  const damage = await payloadDamage(mountPoint)
  if (damage !== undefined) return refuse(damage)
  // The record first: of an interrupted installation the version is known then.
  await writeRecords(records, decision.records)
  await changeBootState(boot, decision.change)
  recordEvents([started(otherSlot(slot), candidate.version, failing)])
  return 0
}

function started(slot: SlotName, version: string, failing: readonly { check: string; message: string }[]) {
  const before = failing.map(({ check, message }) => `${check}: ${message}`).join('; ')
  return {
    event: 'install-started',
    slot,
    version,
    ...(before && { detail: `not well before: ${before}` }),
  } as const
}

async function refuse(reason: string): Promise<number> {
  await writeFile(bundleRefusedPath, `${reason}\n`)
  // For RAUC's own log.
  process.stdout.write(`<< error ${reason}\n`)
  return 1
}
