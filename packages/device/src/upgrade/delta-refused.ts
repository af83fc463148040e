import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { oneLine } from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'
import type { OfferedDelta } from './parse-answer.ts'

/** Why this delta led nowhere here before; undefined: it was another one, or none. */
export async function readDeltaRefusal(path: string, { sha256 }: OfferedDelta): Promise<string | undefined> {
  try {
    const value = JSON.parse((await readOptional(path)) ?? '') as { sha256?: unknown; reason?: unknown }
    return value.sha256 === sha256 && typeof value.reason === 'string' ? oneLine(value.reason) : undefined
  } catch {
    return undefined
  }
}

/** One is enough: a device runs one version. Throws what the file system says. */
export function writeDeltaRefusal(path: string, { sha256 }: OfferedDelta, reason: string): Promise<void> {
  return writeDurably(path, `${JSON.stringify({ sha256, reason: oneLine(reason) })}\n`)
}

/** How many rounds in a row nothing of this delta has come; 0 for another one. */
export async function readVainRounds(path: string, { sha256 }: OfferedDelta): Promise<number> {
  try {
    const value = JSON.parse((await readOptional(path)) ?? '') as { sha256?: unknown; rounds?: unknown }
    return value.sha256 === sha256 && Number.isSafeInteger(value.rounds) ? (value.rounds as number) : 0
  } catch {
    return 0
  }
}

/** Throws what the file system says. */
export async function noteVainRound(path: string, delta: OfferedDelta, vain: boolean): Promise<void> {
  const rounds = vain ? (await readVainRounds(path, delta)) + 1 : 0
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, `${JSON.stringify({ sha256: delta.sha256, rounds })}\n`, { mode: 0o600 })
}
