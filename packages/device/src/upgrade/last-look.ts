import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
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
}

export function lastLook(seen: Look, nowMs: number): LastLook {
  const { channel, answer, decision } = seen
  return {
    time: new Date(nowMs).toISOString(),
    channel,
    version: answer?.version,
    action: decision.action,
    reason:
      decision.action === 'install' ? (decision.reason ?? 'it is newer than what runs') : decision.reason,
    notBefore: 'notBefore' in decision ? decision.notBefore : undefined,
  }
}

export function failedLook(reason: string, nowMs: number): LastLook {
  const time = new Date(nowMs).toISOString()
  const unknown = { channel: undefined, version: undefined, notBefore: undefined }
  return { time, ...unknown, action: 'failed', reason }
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

/** undefined: there was none since the start. */
export function parseLastLook(text: string | undefined): LastLook | undefined {
  try {
    const { time, channel, version, action, reason, notBefore } = JSON.parse(text ?? '') as LastLook
    return { time, channel, version, action, reason, notBefore }
  } catch {
    return undefined
  }
}

export function renderLastLook({ time, channel, version, action, reason }: LastLook): string {
  const words = {
    install: `installing version ${version}`,
    fetch: `version ${version} waits for its window`,
    none: 'nothing to install',
    failed: 'not known',
  }
  const from = channel === undefined ? '' : ` (channel ${channel.name}, number ${channel.sequence})`
  return `${words[action]}${from}${reason === undefined ? '' : `: ${reason}`}; looked at ${time}`
}
