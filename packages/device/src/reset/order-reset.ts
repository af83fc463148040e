import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeDurably } from '../durable-file.ts'

/** What ordering a factory reset touches. */
export interface ResetDoors {
  /** The mark that the initrd looks for; its folder may not be there. */
  readonly markPath: string
  /** Why there is no /data in this start; undefined: it is there. */
  readonly dataUnavailable: () => Promise<string | undefined>
  /** Gives what somebody typed when asked for the word; undefined: nobody is asked. */
  readonly ask: ((word: string) => Promise<string>) | undefined
  readonly remove: (path: string) => Promise<void>
  readonly say: (line: string) => void
  /** Gives the exit code. */
  readonly restart: () => Promise<number>
}

/** What has to be typed. */
export const resetWord = 'reset'

export const resetWarning = [
  'Everything on /data goes: configuration, users, containers and what they keep, logs, host keys, the identity of this',
  'device and its place in a fleet. Both slots stay. Afterwards it waits for a first configuration, and whoever reaches it',
  'first can give it one.',
].join('\n')

/** Gives the exit code. Nothing has changed when it throws. */
export async function orderReset(
  doors: ResetDoors,
  { restart }: { readonly restart: boolean },
): Promise<number> {
  const unavailable = await doors.dataUnavailable()
  if (unavailable !== undefined) {
    throw new Error(
      `/data is not mounted (${unavailable.trim()}), so that nothing can be noted on it: flash the device anew`,
    )
  }
  const word = await doors.ask?.(resetWord)
  if (word !== undefined && word.trim() !== resetWord) {
    throw new Error(`nothing was reset: the word was not "${resetWord}"`)
  }
  await writeDurably(doors.markPath, `${new Date().toISOString()}\n`)
  if (restart) {
    doors.say('restarting; /data is made anew on the way up')
    return doors.restart()
  }
  doors.say(
    '/data is made anew at the next start; "atomixctl factory-reset --cancel" calls it off until then',
  )
  return 0
}

export async function cancelReset(doors: ResetDoors): Promise<number> {
  if (!existsSync(doors.markPath)) throw new Error('no factory reset waits for the next start')
  await doors.remove(doors.markPath)
  const folder = await open(dirname(doors.markPath), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
  doors.say('/data stays as it is')
  return 0
}
