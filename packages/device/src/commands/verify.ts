import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bootConcludedMarkerPath,
  configRollbackFolder,
  factoryResetMarkerPath,
  freshFlashMarkerPath,
  type NewEvent,
  operatorConfigPath,
  rescueArgument,
  type SlotName,
} from '@atomixos/config'
import { currentJob } from '../apply/device-jobs.ts'
import { readOptional } from '../durable-file.ts'
import { recordEvents } from '../events/record-events.ts'
import { watchHealth } from '../health/gate.ts'
import { checkHealth } from '../health/observe-health.ts'
import { lookWhenSettled } from '../health/when-settled.ts'
import { lastLine, runProgram } from '../run-program.ts'
import { changeBootState, readBootState } from '../slots/boot-environment.ts'
import { applyChange, type BootState } from '../slots/boot-state.ts'
import { confirm } from '../slots/confirm.ts'
import { type SlotRecords, withSlot } from '../slots/records.ts'
import { settle } from '../slots/settle.ts'
import { readRecords, writeRecords } from '../slots/slot-store.ts'
import { readSystemFacts } from '../system-facts.ts'

interface Running {
  readonly slot: SlotName
  readonly version: string
  readonly boot: BootState
  readonly records: SlotRecords
}

/**
 * Runs in every boot, when the system has come up: draws the conclusions of which slot that is, then watches the
 * system's health and confirms the slot, or gives a pending one back to U-Boot. A slot that has never been confirmed waits
 * for the first configuration, which has this run again. Exit code 0: all is well.
 */
export async function verify(): Promise<number> {
  const again = existsSync(bootConcludedMarkerPath)
  const freshFlash = existsSync(freshFlashMarkerPath)
  const running = again ? await observeRunning() : await concludeBoot(freshFlash)
  const state = running.boot.state[running.slot]
  if (await isRescue()) {
    recordEvents([{ event: 'rescue-shell', slot: running.slot, version: running.version }])
    return say(0, 'somebody has a root shell on the console: nothing is confirmed, and nothing given up')
  }
  // One that has not proved itself yet may be gone again before long.
  const provisioned = existsSync(operatorConfigPath) && !existsSync(configRollbackFolder)
  if (state === undefined && !provisioned) {
    return say(
      0,
      freshFlash
        ? 'first boot after flashing: provisioning confirms the slot'
        : 'not provisioned yet: nothing is confirmed',
    )
  }
  const tolerated = new Map(
    state === 'pending' ? running.records.before?.failing.map(({ check, message }) => [check, message]) : [],
  )
  const verdict = await watchHealth({
    check: () => lookWhenSettled({ look: checkHealth, changing, sleep, now: () => performance.now() }),
    sleep,
    now: () => performance.now(),
    tolerated: new Set(tolerated.keys()),
    log: (line) => say(0, line),
  })
  if (verdict.healthy) {
    for (const warning of verdict.warnings) say(0, `warning: ${warning}`)
    if (state !== 'confirmed') await confirmSlot(running, verdict.warnings)
    return 0
  }
  for (const { check, message } of verdict.failing) say(1, `${check}: ${message}`)
  if (state !== 'pending') {
    return say(1, `slot ${running.slot} is ${state ?? 'not confirmed'} and stays so: ${verdict.reason}`)
  }
  await giveBack(running, verdict)
  return 1
}

/** One that waits for somebody's word has everything up. */
async function changing(): Promise<boolean> {
  const job = await currentJob().catch(() => undefined)
  return job !== undefined && job.state !== 'waiting-for-confirmation'
}

async function observeRunning(): Promise<Running> {
  const [{ slot, version }, boot, records] = await Promise.all([
    readSystemFacts(),
    readBootState(),
    readRecords(),
  ])
  if (slot === undefined)
    throw new Error('the kernel command line names no slot: not started by our selector')
  return { slot, version, boot, records }
}

/** Once in a boot. */
async function concludeBoot(freshFlash: boolean): Promise<Running> {
  const { slot, version, boot, records } = await observeRunning()
  const now = new Date().toISOString()
  const settled = settle({ slot, version, freshFlash, boot, records, now })
  await changeBootState(boot, settled.change)
  // Without /data nothing can be remembered, and the slot's tries still count.
  await writeRecords(records, settled.records).catch((error: Error) => say(1, error.message))
  const after = applyChange(boot, settled.change)
  const state = after.state[slot] ?? 'not confirmed'
  recordEvents([
    ...(await factoryResetEvents()),
    ...(freshFlash ? [] : [{ event: 'boot', slot, version, detail: `slot ${slot} is ${state}` } as const]),
    ...((await resetByWatchdog()) ? [{ event: 'watchdog', slot, reason: watchdogReason } as const] : []),
    ...settled.events,
  ])
  for (const event of settled.events)
    say(0, `${event.event}: slot ${event.slot}: ${event.reason ?? event.detail}`)
  await writeFile(bootConcludedMarkerPath, '')
  return { slot, version, boot: after, records: settled.records }
}

/** The log before it went with everything else on /data. */
async function factoryResetEvents(): Promise<NewEvent[]> {
  const detail = (await readOptional(factoryResetMarkerPath))?.trim()
  return detail === undefined ? [] : [{ event: 'factory-reset', detail }]
}

async function isRescue(): Promise<boolean> {
  const commandLine = (await readOptional('/proc/cmdline')) ?? ''
  return commandLine.trim().split(' ').includes(rescueArgument)
}

const watchdogReason = 'the hardware watchdog reset the machine before this start'

/** WDIOF_CARDRESET of the kernel's watchdog interface. */
const cardReset = 0x20

/** Drivers that cannot tell say 0. */
async function resetByWatchdog(): Promise<boolean> {
  const status = await readOptional('/sys/class/watchdog/watchdog0/bootstatus')
  return (Number(status?.trim() ?? 0) & cardReset) !== 0
}

async function confirmSlot(running: Running, warnings: readonly string[]): Promise<void> {
  const { slot, version } = running
  const confirmed = confirm({ ...running, now: new Date().toISOString() })
  await changeBootState(running.boot, confirmed.change)
  await writeRecords(running.records, confirmed.records)
  // The environment says it already, in one write; this tells RAUC.
  const marked = await runProgram(['/usr/bin/rauc', 'status', 'mark-good'], { timeoutMs: 60_000 })
  if (marked.exitCode !== 0) say(1, `rauc status mark-good: ${lastLine(marked)}`)
  const detail = warnings.length > 0 ? `with warnings: ${warnings.join('; ')}` : undefined
  recordEvents([{ event: 'confirmed', slot, version, ...(detail && { detail }) }])
  say(0, `slot ${slot} with version ${version} is confirmed`)
}

/** The reason is on /data before anything else happens; then the machine restarts, which costs the slot a try. */
async function giveBack(
  { slot, version, records }: Running,
  { check, reason }: { check: string; reason: string },
): Promise<void> {
  const time = new Date().toISOString()
  const record = records.slots[slot] ?? { state: 'pending', version, since: time }
  await writeRecords(records, withSlot(records, slot, { ...record, failure: { check, reason, time } })).catch(
    (error: Error) => say(1, error.message),
  )
  recordEvents([{ event: 'verification-failed', slot, version, reason: `${check}: ${reason}` }])
  say(1, `slot ${slot} with version ${version} is not confirmed, ${check}: ${reason}; restarting`)
  const restarted = await runProgram(['/usr/bin/systemctl', 'reboot'], { timeoutMs: 30_000 })
  if (restarted.exitCode !== 0)
    await runProgram(['/usr/bin/systemctl', 'reboot', '--force'], { timeoutMs: 30_000 })
}

/** For the journal; gives the exit code on. */
function say(exitCode: number, line: string): number {
  // systemd reads the level from the start of the line.
  process.stdout.write(`${exitCode === 0 ? '<6>' : '<3>'}${line}\n`)
  return exitCode
}
