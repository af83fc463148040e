/** What is written beside memory, devices and disks of a saved machine. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Hardware } from '../arguments.ts'
import { MachineError } from '../errors.ts'
import type { MachineOptions, SavedState } from '../types.ts'

export interface StateFile {
  readonly format: 1
  readonly hardware: Hardware
  readonly firmware: string | undefined
  readonly kernel: MachineOptions['kernel']
  readonly disks: { readonly system: boolean; readonly sdCard: boolean; readonly extra: number }
  readonly consoleTail: string
}

export const stateFile = 'machine.json'

/** Whether `dir` holds a state that was written to its end. */
export async function findState(dir: string): Promise<SavedState | undefined> {
  try {
    await readState(dir)
    return { dir: resolve(dir) }
  } catch {
    return undefined
  }
}

export async function readState(dir: string): Promise<StateFile> {
  let state: StateFile
  try {
    state = JSON.parse(await readFile(join(dir, stateFile), 'utf8')) as StateFile
  } catch (cause) {
    throw new MachineError(`${dir} holds no saved machine`, { cause })
  }
  if (state.format !== 1)
    throw new MachineError(`${dir} was saved by another version`, { hint: 'save it again' })
  return state
}
