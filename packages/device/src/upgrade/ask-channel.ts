import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Channel, channelLimits, channelPath, judgeChannel, type SeenChannel } from '@atomixos/config'
import { readChannelCache, writeChannelCache } from './channel-cache.ts'
import { type Asking, addressBelow, identityHeaders } from './fetch-latest.ts'
import { fetchSmall } from './fetch-small.ts'
import { UpdateServerError } from './server-error.ts'

export interface AskChannelOptions extends Asking {
  readonly board: string
  readonly channel: string
  readonly nowMs: number
  readonly seen: SeenChannel | undefined
  /** A server that had a channel can't go back to answers that nobody signed. */
  readonly required: boolean
  /** What RAUC says of a signed file; throws an Error with its reason. */
  readonly readInfo: (path: string) => Promise<string>
  /** For the file while RAUC looks at it. */
  readonly scratchFolder: string
}

/** The channel that the server has for us; undefined: it has none. Fails with an UpdateServerError. */
export async function askChannel(
  options: AskChannelOptions,
): Promise<{ readonly channel: Channel; readonly identity: string } | undefined> {
  const url = addressBelow(options.serverUrl, channelPath(options.board, options.channel))
  const cachePath = join(options.scratchFolder, 'channel-cache.json')
  const known = await readChannelCache(cachePath, url)
  const answer = await fetchSmall({
    ...options,
    url,
    headers: {
      Accept: 'application/octet-stream',
      ...identityHeaders(options),
      ...(known && { 'If-None-Match': known.etag }),
    },
    statuses: known ? [200, 304, 404, 410] : [200, 404, 410],
    bytesMax: channelLimits.fileBytesMax,
  })
  const same = answer.status === 304
  if (!same && answer.status !== 200) {
    if (!options.required) return undefined
    const reason =
      `the update server has no channel "${options.channel}" (${answer.status}), and it had a channel before: ` +
      'what nobody signed is not followed any more'
    throw new UpdateServerError('channel', reason, { url, status: answer.status, code: 'missing' })
  }
  // Verified and judged each time: time goes on, and who could sign may not any more.
  const file = same ? known!.file : answer.body
  const judged = judgeChannel(await verified(file, url, options), options)
  if ('channel' in judged) {
    if (!same) await writeChannelCache(cachePath, { url, etag: answer.etag, file })
    return judged
  }
  throw refusal(url, judged.kind, judged.reason)
}

async function verified(file: Buffer, url: string, options: AskChannelOptions): Promise<string> {
  await mkdir(options.scratchFolder, { recursive: true })
  const dir = await mkdtemp(join(options.scratchFolder, 'channel-'))
  try {
    const path = join(dir, 'file')
    await writeFile(path, file, { mode: 0o600 })
    return await options.readInfo(path).catch((error: Error) => {
      throw refusal(url, 'signature', error.message)
    })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function refusal(url: string, kind: string, reason: string): UpdateServerError {
  return new UpdateServerError('channel', `the channel file is refused: ${reason}`, { url, code: kind })
}
