import { rm } from 'node:fs/promises'
import { bundleDownloadPath } from '@atomixos/config'
import { recordEvents } from '../events/record-events.ts'
import { runProgram } from '../run-program.ts'
import { withRefusedVersion } from '../slots/records.ts'
import { readRecords, writeRecords } from '../slots/slot-store.ts'
import { askServer, authorityPaths, type ServerWord } from '../upgrade/ask-server.ts'
import { download } from '../upgrade/download.ts'
import { type InstallOutcome, installBundle, readBundleInfo } from '../upgrade/install.ts'
import type { Answer } from '../upgrade/parse-answer.ts'
import { UpdateServerError } from '../upgrade/server-error.ts'
import { UsageError } from '../usage-error.ts'

export async function update(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [action, file, ...rest] = args
  if (action === 'check' && file === undefined) return check(options.has('--json'))
  if (action === 'poll' && file === undefined) return poll()
  if (action === 'install' && file !== undefined && rest.length === 0) return installFile(file, options)
  throw new UsageError('say "update check", "update poll" or "update install FILE"')
}

async function check(json: boolean): Promise<number> {
  const word = await askServer()
  process.stdout.write(json ? `${JSON.stringify(word, null, 2)}\n` : `${describe(word)}\n`)
  return 0
}

function describe({ answer, decision }: ServerWord): string {
  if (decision.action === 'none') return `nothing to install: ${decision.reason}`
  return `version ${answer!.version} would be installed from ${answer!.bundleUrl}`
}

/**
 * What the timer does. A server that is away or broken is nothing that has failed on this device: exit code 0, and the
 * reason in the journal.
 */
async function poll(): Promise<number> {
  try {
    const word = await askServer()
    process.stdout.write(`${describe(word)}\n`)
    if (word.decision.action === 'none' || word.answer === undefined) return 0
    return await fetchAndInstall(word.answer)
  } catch (error) {
    if (!(error instanceof UpdateServerError)) throw error
    process.stdout.write(`<4>${error.message}\n`)
    return 0
  }
}

async function fetchAndInstall(answer: Answer): Promise<number> {
  const { version, bundleUrl } = answer
  await download({
    url: bundleUrl,
    version,
    path: bundleDownloadPath,
    authorities: authorityPaths,
    onProgress: progressInTenths(),
  })
  try {
    const outcome = await installOffered(version)
    if (outcome.installed) return await restart(`version ${version} is in slot ${outcome.slot}`)
    const time = new Date().toISOString()
    const records = await readRecords()
    await writeRecords(records, withRefusedVersion(records, { version, reason: outcome.reason, time }))
    throw new Error(`version ${version} was not installed: ${outcome.reason}`)
  } finally {
    await rm(bundleDownloadPath, { force: true })
  }
}

/** What the bundle says is signed; what the server says is not. */
async function installOffered(version: string): Promise<InstallOutcome> {
  const refuse = (reason: string): InstallOutcome => {
    recordEvents([{ event: 'update-refused', version, reason }])
    return { installed: false, reason, touched: false }
  }
  const info = await readBundleInfo(bundleDownloadPath).catch((error: Error) => error)
  if (info instanceof Error) return refuse(info.message)
  if (info.version !== version) {
    return refuse(`the server said version ${version}, and the bundle is version ${info.version}`)
  }
  return installBundle(bundleDownloadPath, { version, allowOlder: false })
}

async function installFile(file: string, options: ReadonlySet<string>): Promise<number> {
  const info = await readBundleInfo(file).catch((error: Error) => {
    throw new Error(`${file}: ${error.message}`)
  })
  process.stdout.write(`installing version ${info.version}\n`)
  const allowOlder = options.has('--allow-older')
  const outcome = await installBundle(file, { version: info.version, allowOlder })
  if (!outcome.installed) throw new Error(`version ${info.version} was not installed: ${outcome.reason}`)
  const done = `version ${info.version} is in slot ${outcome.slot}`
  if (!options.has('--no-restart')) return restart(done)
  process.stdout.write(`${done}; it is tried at the next start\n`)
  return 0
}

async function restart(done: string): Promise<number> {
  process.stdout.write(`${done}; restarting\n`)
  return (await runProgram(['/usr/bin/systemctl', 'reboot'], { timeoutMs: 30_000 })).exitCode ?? 1
}

/** The journal needs no more than ten lines of a download. */
function progressInTenths(): (bytes: number, totalBytes: number | undefined) => void {
  let told = 0
  return (bytes, totalBytes) => {
    const tenths = totalBytes === undefined ? 0 : Math.floor((bytes * 10) / totalBytes)
    if (tenths > told) process.stdout.write(`fetched ${tenths * 10} %\n`)
    told = Math.max(told, tenths)
  }
}
