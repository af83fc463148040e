export { createMachine } from './create-machine.ts'
export { copySparse } from './disk/disk.ts'
export { readPartitions } from './disk/gpt.ts'
export { GuestGone, MachineError, ProgramError, WaitError } from './errors.ts'
export { createLab } from './lab/lab.ts'
export { tapsAllowed, tunDevice } from './lab/plug.ts'
export { hostPrograms, treePrograms } from './programs.ts'
export {
  type Cut,
  type CutKind,
  cutKinds,
  type Landed,
  planCut,
  type Range,
} from './recording/cut.ts'
export { type LogEntry, WriteLog } from './recording/write-log.ts'
export { runChecked } from './run.ts'
export { type RestoreOptions, restore } from './state/restore.ts'
export { findState } from './state/state-file.ts'
export type * from './types.ts'
