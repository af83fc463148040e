import { configFolders, recover } from '../apply/config-folders.ts'
import { realDisk } from '../apply/disk.ts'
import { systemOwnerIds } from '../apply/owners.ts'
import { recordEvents } from '../events/record-events.ts'

/** `recover-config`, at the start, before anything reads the configuration: what was interrupted is undone. */
export async function recoverConfig(): Promise<number> {
  if (recover(realDisk, configFolders, systemOwnerIds()) === 'whole') return 0
  const reason = 'the device stopped before the new configuration had proved itself'
  recordEvents([{ event: 'config-rolled-back', reason, detail: 'the one before is active' }])
  process.stdout.write(`<4>${reason}: the one before is in its place again\n`)
  return 0
}
