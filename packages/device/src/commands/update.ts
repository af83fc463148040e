import { rm } from 'node:fs/promises'
import { bundleDownloadPath, deviceLabelsPath, lastLookPath } from '@atomixos/config'
import { recordEvents } from '../events/record-events.ts'
import { runProgram } from '../run-program.ts'
import { withRefusedVersion } from '../slots/records.ts'
import { readRecords, writeRecords } from '../slots/slot-store.ts'
import { askServer } from '../upgrade/ask-server.ts'
import { bundleFileProblem, bundleIsHere } from '../upgrade/bundle-file.ts'
import { discardFetched, fetchDoors } from '../upgrade/bundle-store.ts'
import { fetchBundle } from '../upgrade/fetch-bundle.ts'
import { type InstallOutcome, installBundle, readBundleInfo } from '../upgrade/install.ts'
import { changeLabel, readLabels } from '../upgrade/labels.ts'
import { noteLastLook } from '../upgrade/last-look.ts'
import type { Answer } from '../upgrade/parse-answer.ts'
import { describeLook, poll } from '../upgrade/poll.ts'
import { UsageError } from '../usage-error.ts'

export async function update(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [action, file, ...rest] = args
  if (action === 'check' && file === undefined) return check(options.has('--json'))
  if (action === 'poll' && file === undefined) return pollServer()
  if (action === 'install' && file !== undefined && rest.length === 0) return installFile(file, options)
  if (action === 'label') return label(args.slice(1), options.has('--json'))
  throw new UsageError('say "update check", "update poll", "update install FILE" or "update label"')
}

async function check(json: boolean): Promise<number> {
  const word = await askServer({ remember: false })
  process.stdout.write(json ? `${JSON.stringify(word, null, 2)}\n` : `${describeLook(word)}\n`)
  return 0
}

async function label(args: readonly string[], json: boolean): Promise<number> {
  const [change, name, ...rest] = args
  const changes = (change === 'add' || change === 'remove') && name !== undefined && rest.length === 0
  if (!changes && change !== undefined) {
    throw new UsageError('say "update label", "update label add NAME" or "update label remove NAME"')
  }
  const labels = changes
    ? await changeLabel(deviceLabelsPath, change, name)
    : await readLabels(deviceLabelsPath)
  process.stdout.write(json ? `${JSON.stringify(labels)}\n` : labels.map((text) => `${text}\n`).join(''))
  return 0
}

function pollServer(): Promise<number> {
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  let bytesPerSMax: number | undefined
  return poll({
    async look() {
      const word = await askServer({ remember: true })
      bytesPerSMax = word.downloadBytesPerSMax
      return word
    },
    note: (last) => noteLastLook(lastLookPath, last),
    say,
    isHere: (answer) => bundleIsHere(bundleDownloadPath, answer),
    fetch: (answer) => fetchAndCompare(answer, { say, bytesPerSMax }),
    discard: discardFetched,
    install: installFetched,
    nowMs: Date.now,
  })
}

async function fetchAndCompare(
  answer: Answer,
  options: { readonly say: (line: string) => void; readonly bytesPerSMax: number | undefined },
): Promise<string> {
  const { version } = answer
  const transfer = await fetchBundle(answer, fetchDoors(version, options))
  const problem = await bundleFileProblem(bundleDownloadPath, answer)
  if (problem === undefined) return transfer
  await rm(bundleDownloadPath, { force: true })
  recordEvents([{ event: 'update-refused', version, reason: problem }])
  return giveUp(version, problem)
}

async function installFetched({ version }: Answer): Promise<number> {
  try {
    const outcome = await installOffered(version)
    if (outcome.installed) return await restart(`version ${version} is in slot ${outcome.slot}`)
    return await giveUp(version, outcome.reason)
  } finally {
    await rm(bundleDownloadPath, { force: true })
  }
}

/** For a day. */
async function giveUp(version: string, reason: string): Promise<never> {
  const records = await readRecords()
  const time = new Date().toISOString()
  await writeRecords(records, withRefusedVersion(records, { version, reason, time }))
  throw new Error(`version ${version} was not installed: ${reason}`)
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
