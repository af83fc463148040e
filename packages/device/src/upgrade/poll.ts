import type { Transfer } from './fetch-bundle.ts'
import { failedLook, type LastLook, lastLook } from './last-look.ts'
import type { Look } from './look.ts'
import type { Answer } from './parse-answer.ts'
import { UpdateServerError } from './server-error.ts'

/** How a poll reaches the world. */
export interface PollDoors {
  readonly look: () => Promise<Look>
  readonly note: (last: LastLook) => Promise<void>
  readonly say: (line: string) => void
  /** Whether the bundle was fetched before and is what the channel says. */
  readonly isHere: (answer: Answer) => Promise<boolean>
  /** Gives how it came. */
  readonly fetch: (answer: Answer) => Promise<Transfer>
  readonly discard: () => Promise<void>
  /** Installs what was fetched; gives the exit code. */
  readonly install: (answer: Answer) => Promise<number>
  readonly nowMs: () => number
}

/**
 * What the timer does; gives the exit code. A server that is away or broken is nothing that has failed on this device:
 * exit code 0, and the reason in journal and status.
 */
export async function poll(doors: PollDoors): Promise<number> {
  let transfer: Transfer | undefined
  try {
    const first = await lookAndSay(doors)
    if (first.decision.action === 'none' || first.answer === undefined) {
      // What was to wait for a window, before the publisher thought better of it.
      await doors.discard()
      return 0
    }
    if (await doors.isHere(first.answer)) {
      return first.decision.action === 'install' ? await doors.install(first.answer) : 0
    }
    transfer = await doors.fetch(first.answer)
    doors.say(`fetched version ${first.answer.version}: ${transfer}`)
    await doors.note(lastLook(first, doors.nowMs(), transfer))
    if (first.channel === undefined) return await doors.install(first.answer)
    // Fetching can take hours, in which a release may be halted or a window may close.
    const second = await lookAndSay(doors, transfer)
    const same = second.answer !== undefined && sameBundle(first.answer, second.answer)
    if (!same || second.decision.action === 'none') await doors.discard()
    return same && second.decision.action === 'install' ? await doors.install(second.answer!) : 0
  } catch (error) {
    await doors.note(failedLook((error as Error).message, doors.nowMs(), transfer))
    if (!(error instanceof UpdateServerError)) throw error
    doors.say(`<4>${error.message}`)
    return 0
  }
}

async function lookAndSay(doors: PollDoors, transfer?: Transfer): Promise<Look> {
  const seen = await doors.look()
  doors.say(describeLook(seen))
  await doors.note(lastLook(seen, doors.nowMs(), transfer))
  return seen
}

export function describeLook({ answer, decision }: Look): string {
  if (decision.action === 'none') {
    const until = decision.notBefore === undefined ? '' : ` (not before ${decision.notBefore})`
    return `nothing to install: ${decision.reason}${until}`
  }
  const why = decision.reason === undefined ? '' : `: ${decision.reason}`
  const when = decision.action === 'fetch' ? 'fetched now and installed later' : 'installed'
  return `version ${answer!.version} would be ${when} from ${answer!.bundleUrl}${why}`
}

function sameBundle(a: Answer, b: Answer): boolean {
  return a.version === b.version && a.bundleUrl === b.bundleUrl && a.file?.sha256 === b.file?.sha256
}
