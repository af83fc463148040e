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
