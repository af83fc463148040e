import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readOptional } from '../durable-file.ts'
import type { ChannelFacts, Look } from './look.ts'

/** What came of the last look for an update, for people and monitoring. */
export interface LastLook {
  /** ISO 8601. */
  readonly time: string
  readonly channel: ChannelFacts | undefined
  /** What was offered. */
  readonly version: string | undefined
  /** `failed`: the server could not be asked, or was not believed. */
  readonly action: 'install' | 'fetch' | 'none' | 'failed'
  readonly reason: string | undefined
  /** When its turn comes, as far as the channel says. */
  readonly notBefore: string | undefined
  /** How the bundle came; undefined: none was fetched. */
  readonly transfer: string | undefined
}

export function lastLook(seen: Look, nowMs: number, transfer?: string): LastLook {
  const { channel, answer, decision } = seen
  return {
    time: new Date(nowMs).toISOString(),
    channel,
    version: answer?.version,
    action: decision.action,
    reason:
      decision.action === 'install' ? (decision.reason ?? 'it is newer than what runs') : decision.reason,
    notBefore: 'notBefore' in decision ? decision.notBefore : undefined,
    transfer,
  }
}

export function failedLook(reason: string, nowMs: number, transfer?: string): LastLook {
  const time = new Date(nowMs).toISOString()
  const unknown = { channel: undefined, version: undefined, notBefore: undefined }
  return { time, ...unknown, action: 'failed', reason, transfer }
}

/** In memory; whole or not at all. That it can't be written is no reason to do without an update. */
export async function writeLastLook(path: string, last: LastLook): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(`${path}.new`, `${JSON.stringify(last)}\n`, { mode: 0o600 })
    await rename(`${path}.new`, path)
  } catch (error) {
    process.stdout.write(`<4>${path} can't be written: ${(error as Error).message}\n`)
  }
}

/** What is known of how a bundle came stays while the bundle waits for its window. */
export async function noteLastLook(path: string, last: LastLook): Promise<void> {
  const before = parseLastLook(await readOptional(path))
  const kept = last.action === 'fetch' && before?.version === last.version ? before?.transfer : undefined
  await writeLastLook(path, { ...last, transfer: last.transfer ?? kept })
}

/** undefined: there was none since the start. */
export function parseLastLook(text: string | undefined): LastLook | undefined {
  try {
    const { time, channel, version, action, reason, notBefore, transfer } = JSON.parse(text ?? '') as LastLook
    return { time, channel, version, action, reason, notBefore, transfer }
  } catch {
    return undefined
  }
}

export function renderLastLook({ time, channel, version, action, reason, transfer }: LastLook): string {
  const words = {
    install: `installing version ${version}`,
    fetch: `version ${version} waits for its window`,
    none: 'nothing to install',
    failed: 'not known',
  }
  const from = channel === undefined ? '' : ` (channel ${channel.name}, number ${channel.sequence})`
  const came = transfer === undefined ? '' : `; fetched: ${transfer}`
  return `${words[action]}${from}${reason === undefined ? '' : `: ${reason}`}${came}; looked at ${time}`
}
