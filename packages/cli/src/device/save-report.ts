import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type FileHandle, link, open, rename, rm, stat } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { reportLimits } from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Reporter } from '@atomixos/image/reporter.ts'
import type { DeviceClient } from './device-client.ts'

export interface SavedReport {
  readonly file: string
  readonly sizeBytes: number
  /** 64 hex digits. */
  readonly sha256: string
}

/** `report-172.20.30.1-20261127T180305Z.tar.gz`: sorted by device, then by time. Pure. */
export function reportName(address: string, now: Date): string {
  const host = address.replace(/^https?:\/\//, '').replaceAll(/[^A-Za-z0-9.-]/g, '-')
  const time = now
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')
  return `report-${host}-${time}.tar.gz`
}

/** Throws UserError where there is such a file. Before anything is asked: a report takes the device two minutes. */
export async function refuseExisting(file: string, force: boolean): Promise<void> {
  const there = await stat(file).catch(() => undefined)
  if (there !== undefined && !force) throw exists(file)
}

/**
 * The device's report as a file that only its owner reads. It has the file's name when it is whole, and until then another
 * one, which is gone when this fails or is interrupted.
 */
export async function saveReport(
  client: DeviceClient,
  file: string,
  { reporter, force }: { readonly reporter: Reporter; readonly force: boolean },
): Promise<SavedReport> {
  const unfinished = `${file}.part-${process.pid}`
  const output = await open(unfinished, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`${file} cannot be written: ${error.message}`, { exitCode: 2, cause: error })
  })
  try {
    const saved = await download(client, output, reporter)
    await output.sync()
    await output.close()
    await place(unfinished, file, force)
    return { file, ...saved }
  } finally {
    await output.close().catch(() => {})
    await rm(unfinished, { force: true })
  }
}

async function download(
  client: DeviceClient,
  output: FileHandle,
  reporter: Reporter,
): Promise<Omit<SavedReport, 'file'>> {
  const collecting = reporter.task('the device collects')
  const bytes = await client
    .downloadSigned({ path: '/api/report' }, reportLimits.firstMs + 30_000)
    .catch((error) => {
      collecting.failed()
      throw error
    })
  collecting.done()
  const receiving = reporter.task('receiving')
  const sha256 = createHash('sha256')
  const check = createCheck()
  let sizeBytes = 0
  try {
    for await (const piece of bytes) {
      sizeBytes += piece.length
      if (sizeBytes > reportLimits.bytesMax) throw new UserError('the device sends more than a report has')
      sha256.update(piece)
      await check.take(piece)
      await output.writeFile(piece)
      receiving.progress(sizeBytes, undefined, 'bytes')
    }
    await check.end()
  } catch (error) {
    receiving.failed()
    throw error
  }
  receiving.done()
  return { sizeBytes, sha256: sha256.digest('hex') }
}

/** Unpacks and forgets: an archive whose packer died on the device has no end, and nothing else tells. */
function createCheck() {
  const gunzip = createGunzip().resume()
  const ended = once(gunzip, 'end')
  // It is waited for at the end, whenever it has failed.
  ended.catch(() => {})
  return {
    async take(piece: Uint8Array) {
      if (!gunzip.destroyed && !gunzip.write(piece)) await Promise.race([once(gunzip, 'drain'), ended])
    },
    async end() {
      gunzip.end()
      await ended.catch((cause: Error) => {
        throw new UserError(`what the device sent is no whole archive: ${cause.message}`, {
          hint: 'try again; `journalctl -u support-report@*` on the device says what went wrong',
          cause,
        })
      })
    },
  }
}

/** Without --force a file that came meanwhile is left alone: a link cannot replace one. */
async function place(unfinished: string, file: string, force: boolean): Promise<void> {
  if (force) return rename(unfinished, file)
  await link(unfinished, file).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? exists(file) : error
  })
}

function exists(file: string): UserError {
  return new UserError(`${file} is there already, and was left alone`, {
    hint: 'name another file with --output, or replace it with --force',
    exitCode: 2,
  })
}
