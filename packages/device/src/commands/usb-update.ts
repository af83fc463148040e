import { mkdir, readFile, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  boardOfCompatible,
  DeltaError,
  defaultChannelName,
  eventLogPath,
  osUpgradeSettingsPath,
  usbBundlePath,
  usbDeltaPath,
  usbUpdateAllowedPath,
  wanInterface,
} from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'
import { readEvents } from '../events/read-events.ts'
import { recordEvents } from '../events/record-events.ts'
import { observe } from '../observe.ts'
import { lastLine, runProgram } from '../run-program.ts'
import { readBootState } from '../slots/boot-environment.ts'
import { otherSlot } from '../slots/boot-state.ts'
import { readRecords } from '../slots/slot-store.ts'
import { parseStatus } from '../status.ts'
import { readSystemFacts } from '../system-facts.ts'
import { waitingVersion } from '../upgrade/ask-server.ts'
import { fileProblem } from '../upgrade/bundle-file.ts'
import { partitionPath } from '../upgrade/bundle-store.ts'
import { parseDeviceId } from '../upgrade/device-id.ts'
import { type InstallOutcome, installBundle, readBundleInfo, readRaucInfo } from '../upgrade/install.ts'
import { rebuildFromDelta } from '../upgrade/rebuild-bundle.ts'
import { parseUpgradeSettings } from '../upgrade/settings.ts'
import { UsageError } from '../usage-error.ts'
import { copyFromStick } from '../usb/copy-file.ts'
import { findUpdates } from '../usb/find-updates.ts'
import { type ChosenUpdate, judgeUpdates } from '../usb/judge-updates.ts'
import {
  renderReport,
  reportEventsMax,
  reportFolder,
  reportName,
  type StickReport,
  type StickResult,
} from '../usb/report.ts'
import { updateFromStick } from '../usb/update-from-stick.ts'

/** In the name space of the service only. */
const mountPoint = '/run/atomixos/usb'
/** What sticks have, and what has no links, no devices and no owners. */
const fileSystems = ['vfat', 'exfat'] as const
const mountOptions = 'nosuid,nodev,noexec'
const mountTimeoutMs = 60_000
/** A system that has just come up proves itself first: 60 s of good health, and what it waits for before. */
const confirmedWithinMs = 15 * 60_000

const say = (line: string) => void process.stdout.write(`${line}\n`)

/**
 * What `usb-update@.service` does with a partition of a USB disk. Whatever is wrong with a stick is nothing that has failed
 * on this device: exit code 0, and the reason in the journal and, if it can be written there, on the stick.
 */
export async function usbUpdate(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args
  if (!/^[a-z0-9]{1,32}$/.test(name) || rest.length > 0) throw new UsageError('say "usb-update PARTITION"')
  if ((await readOptional(usbUpdateAllowedPath)) === undefined) {
    throw new Error(`updates from USB sticks are not allowed here: ${usbUpdateAllowedPath} is not there`)
  }
  const place = await realpath(`/sys/class/block/${name}`).catch(() => '')
  if (!place.includes('/usb')) throw new Error(`${name} is no partition of a USB disk`)
  const problem = await mountStick(`/dev/${name}`)
  if (problem !== undefined) {
    say(`<4>${name}: ${problem}`)
    return 0
  }
  try {
    return await useStick(name)
  } finally {
    await runProgram(['/usr/bin/umount', '--lazy', mountPoint], { timeoutMs: mountTimeoutMs })
  }
}

async function useStick(name: string): Promise<number> {
  const result = await readStick().catch((error: Error): StickResult | undefined => {
    say(`<4>${name}: ${error.message}`)
    return undefined
  })
  if (result === undefined) return 0
  say(`${result.result === 'failed' ? '<4>' : ''}${name}: ${result.result}: ${result.reason}`)
  await writeReport(result).catch((error: Error) => say(`<5>${name} took no report: ${error.message}`))
  if (result.result !== 'installed') return 0
  return (await runProgram(['/usr/bin/systemctl', 'reboot'], { timeoutMs: 30_000 })).exitCode ?? 1
}

async function readStick(): Promise<StickResult | undefined> {
  const { slot, version: runningVersion, compatible } = await readSystemFacts()
  const board = boardOfCompatible(compatible)
  if (slot === undefined || board === undefined) throw new Error('the running slot or board is not known')
  const channel = await followedChannel()
  return updateFromStick({
    find: () => findUpdates(mountPoint, { board, channel }),
    async waitUntilConfirmed() {
      for (
        const endMs = performance.now() + confirmedWithinMs;
        performance.now() < endMs;
        await sleep(5000)
      ) {
        // Not before the verification has said so: the report shall tell of it.
        if ((await readBootState()).state[slot] === 'confirmed' && !(await isVerifying())) return undefined
      }
      return `version ${runningVersion}, which runs, has not proved itself; the other slot is what it would fall back to`
    },
    async judge(found) {
      const [boot, records] = await Promise.all([readBootState(), readRecords()])
      return judgeUpdates(found, {
        ...{ runningVersion, compatible, board, channel },
        runningSlot: boot.state[slot] === 'confirmed' ? 'confirmed' : 'pending',
        failedVersions: records.failedVersions,
        waitingVersion: waitingVersion(boot, records, otherSlot(slot)),
        readBundleInfo: (path) => readBundleInfo(join(mountPoint, path)),
        readChannelInfo: (path) => readRaucInfo(join(mountPoint, path)),
      })
    },
    async copyBundle({ bundle: { path, facts } }) {
      await copyFromStick(join(mountPoint, path), usbBundlePath)
      const problem = facts && (await fileProblem(usbBundlePath, facts, 'bundle'))
      if (problem !== undefined) throw new Error(problem)
    },
    async rebuild({ bundle, delta }) {
      await copyFromStick(join(mountPoint, delta!.path), usbDeltaPath)
      const problem = await fileProblem(usbDeltaPath, delta!.facts, 'delta')
      if (problem !== undefined) throw new DeltaError(problem)
      await rebuildFromDelta({
        ...{ deltaPath: usbDeltaPath, bundle: bundle.facts!, outPath: usbBundlePath },
        sourcePath: (source) => partitionPath(source, slot),
      })
    },
    install: installCopied,
    async discard() {
      for (const path of [usbBundlePath, usbDeltaPath]) await rm(path, { force: true })
    },
    say,
  })
}

async function isVerifying(): Promise<boolean> {
  const argv = ['/usr/bin/systemctl', 'is-active', '--quiet', 'os-verification.service'] as const
  return (await runProgram(argv, { timeoutMs: 10_000 })).exitCode === 0
}

/** What lies on the disk now is what is judged: a stick may say something else at each reading. */
async function installCopied({ version }: ChosenUpdate): Promise<InstallOutcome> {
  const refuse = (reason: string): InstallOutcome => {
    recordEvents([{ event: 'update-refused', version, reason }])
    return { installed: false, reason, touched: false }
  }
  const info = await readBundleInfo(usbBundlePath).catch((error: Error) => error)
  if (info instanceof Error) return refuse(info.message)
  if (info.version !== version) return refuse(`it was version ${version}, and the copy is ${info.version}`)
  return installBundle(usbBundlePath, { version, allowOlder: false })
}

/** Settings that can't be read are told by others; a stick is as good as ever then. */
async function followedChannel(): Promise<string> {
  try {
    return parseUpgradeSettings(await readFile(osUpgradeSettingsPath, 'utf8')).channel
  } catch {
    return defaultChannelName
  }
}

/** Read-only, by name of each file system that sticks have: the kernel is not left to guess. Tells why not. */
async function mountStick(device: string): Promise<string | undefined> {
  await mkdir(mountPoint, { recursive: true })
  let last = ''
  for (const type of fileSystems) {
    const options = `ro,${mountOptions},umask=077`
    const argv = ['/usr/bin/mount', '-t', type, '-o', options, device, mountPoint] as const
    const result = await runProgram(argv, { timeoutMs: mountTimeoutMs })
    if (result.exitCode === 0) return undefined
    last = lastLine(result)
  }
  return `no file system for updates is on it (${fileSystems.join(', ')}): ${last}`
}

async function writeReport(result: StickResult): Promise<void> {
  const [address, observed] = await Promise.all([
    readOptional(`/sys/class/net/${wanInterface}/address`),
    observe(),
  ])
  const { version: runningVersion, slot, slots } = parseStatus(observed)
  const report: StickReport = {
    format: 1,
    time: new Date().toISOString(),
    deviceId: address === undefined ? undefined : parseDeviceId(address),
    ...{ runningVersion, slot, ...result, slots },
    events: readEvents(eventLogPath).events.slice(-reportEventsMax),
  }
  const remount = async (how: 'rw' | 'ro') => {
    const argv = ['/usr/bin/mount', '-o', `remount,${how},${mountOptions}`, mountPoint] as const
    const done = await runProgram(argv, { timeoutMs: mountTimeoutMs })
    if (done.exitCode !== 0) throw new Error(lastLine(done))
  }
  await remount('rw')
  try {
    const path = join(mountPoint, reportFolder, reportName(report.deviceId))
    await writeDurably(`${path}.txt`, renderReport(report))
    await writeDurably(`${path}.json`, `${JSON.stringify(report, undefined, 2)}\n`)
  } finally {
    await remount('ro')
  }
}
