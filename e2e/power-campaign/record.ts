/**
 * One machine from its first boot to a confirmed update, with every write on record. As a device in the field: the
 * stories' state `provisioned`, and an update after it.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { configFolder, machineIdPath } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import {
  bootMs,
  deviceEvents,
  provision,
  waitUntilConfirmed,
  waitUntilUp,
  waitUntilVerified,
} from '../gateway.ts'
import { createGatewayNetwork, updateHostName } from '../gateway-network.ts'
import { nextBundlePath } from '../provisioned.ts'
import { bundlePath, diskBytes, gatewayOptions, manifest, setup } from '../setup.ts'
import { createUpdateServer } from '../update-server.ts'
import {
  type AppliedName,
  type ConfigurationSet,
  containerImage,
  listingCommand,
  parseListing,
  uploads,
} from './configurations.ts'
import type { Mark } from './phases.ts'
import { type ConfigurationMark, logFile, type RecordingFile, recordingFile } from './recording.ts'

/** Made once for an image, a bundle and a way of recording; the folder with both files. */
export async function recordedLife(log: (line: string) => void): Promise<string> {
  const identity = createHash('sha256')
    .update(JSON.stringify([manifest.artifacts, bundlePath('next')]))
    .update(await readFile(import.meta.filename))
    .update(await readFile(join(import.meta.dirname, 'configurations.ts')))
    .digest('hex')
    .slice(0, 16)
  const folder = join(setup.workDir, 'recordings')
  const dir = join(folder, identity)
  await mkdir(folder, { recursive: true })
  for (const entry of await readdir(folder)) {
    // Of other images, or not finished.
    if (entry !== identity) await rm(join(folder, entry), { recursive: true, force: true })
  }
  if (existsSync(join(dir, recordingFile))) {
    log(`the recording of this image is there already: ${dir}`)
    return dir
  }
  const part = `${dir}.part`
  await mkdir(part)
  const recording = await record(part, log)
  await writeFile(join(part, recordingFile), `${JSON.stringify(recording, undefined, 2)}\n`)
  await rename(part, dir)
  return dir
}

async function record(dir: string, log: (line: string) => void): Promise<RecordingFile> {
  const logPath = join(dir, logFile)
  const marks: Mark[] = []
  await using network = await createGatewayNetwork(dir)
  const options = gatewayOptions(dir, {
    ...{ lab: network.lab, nics: network.nics, record: logPath, deadlineMs: 90 * 60_000 },
  })
  await using gateway = await createMachine(options)
  const started = Date.now()
  const mark = async (phase: Mark['phase']) => {
    marks.push({ phase, logBytes: (await stat(logPath)).size })
    log(`${Math.round((Date.now() - started) / 1000)} s: ${phase}`)
  }
  await mark('first-boot')
  await gateway.start()
  await waitUntilUp(gateway)
  await waitUntilVerified(gateway)

  await mark('provisioning')
  await provision(gateway)
  {
    await using server = await createUpdateServer(network)
    const bundle = await readFile(bundlePath('next'))
    server.answer = (_, response) => response.end(bundle)
    await gateway.succeed(`curl -sSfk -o ${nextBundlePath} ${server.url}/next; sync`, { timeoutMs: 600_000 })
  }

  await mark('restart')
  await gateway.reboot({ timeoutMs: bootMs })
  await waitUntilUp(gateway)
  await mark('confirmation')
  await waitUntilConfirmed(gateway, 'A')

  await mark('install')
  await gateway.succeed(`atomixctl update install --no-restart ${nextBundlePath}`, { timeoutMs: 600_000 })

  await mark('restart')
  await gateway.reboot({ timeoutMs: bootMs })
  await waitUntilUp(gateway)
  await mark('confirmation')
  await waitUntilConfirmed(gateway, 'B')

  const configured = await recordConfigurations(gateway, mark, async () => (await stat(logPath)).size)
  await mark('end')
  await gateway.shutdown({ timeoutMs: bootMs })
  await rm(join(dir, 'recorded.raw'))
  const cardBytes = (options.sdCard as { sizeBytes: number }).sizeBytes
  return { systemBytes: diskBytes, cardBytes, marks, ...configured }
}

/** Promotions over an existing configuration, one that is taken back, one as it must not be done, and a reset. */
async function recordConfigurations(
  gateway: Machine,
  mark: (phase: Mark['phase']) => Promise<void>,
  logBytes: () => Promise<number>,
): Promise<Pick<RecordingFile, 'sets' | 'configurations' | 'machineId'>> {
  const configurations: ConfigurationMark[] = []
  const mayBe = async (...names: string[]) => {
    // What is before this is on the disk, and no part of what may be lost.
    await gateway.succeed('sync')
    configurations.push({ logBytes: await logBytes(), mayBe: names })
  }
  const look = async (folder = configFolder) => parseListing(await gateway.succeed(listingCommand(folder)))
  const sets: Record<string, ConfigurationSet> = {}

  await mark('aside')
  await gateway.succeed(
    [
      'tar -C / --dereference -c usr/bin/sleep usr/lib/aarch64-linux-gnu/libc.so.6 lib/ld-linux-aarch64.so.1',
      `| podman import --quiet - ${containerImage} && sync`,
    ].join(' '),
    { timeoutMs: 300_000 },
  )
  for (const name of ['first', 'second'] as const) await putUpload(gateway, name)
  sets.before = await look()

  await mayBe('before', 'first')
  await mark('configuration')
  await gateway.succeed('atomixctl config apply /run/first.tar.gz', applyLimit)
  sets.first = await look()
  await gateway.succeed(`mkdir /run/place && cp -a ${configFolder}/. /run/place`)
  await mayBe('first', 'second')
  await gateway.succeed('atomixctl config apply /run/second.tar.gz', applyLimit)
  sets.second = await look()
  // Nobody confirms it, so whatever happens the one before is what the next start takes.
  await mayBe('second')
  await gateway.succeed(
    'systemd-run --unit=story-apply atomixctl config apply /run/first.tar.gz --confirm 900',
  )
  await gateway.waitUntilSucceeds(
    'atomixctl config status --json | grep -q waiting-for-confirmation',
    applyLimit,
  )
  await gateway.succeed('atomixctl config rollback', applyLimit)

  // As a device would that knows nothing of renaming: for the defect of this name.
  await mark('aside')
  await mayBe('second', 'first')
  await mark('in-place')
  await gateway.succeed(
    [
      'cd /run/place && find . -type f | while read -r file; do',
      `mkdir -p "$(dirname "${configFolder}/$file")" && cp "$file" "${configFolder}/$file" && sync; done`,
      `&& cd ${configFolder} && find . -type f | while read -r file; do`,
      '[ -e "/run/place/$file" ] || rm "$file"; done; sync',
    ].join(' '),
    applyLimit,
  )
  const machineId = (await gateway.succeed(`cat ${machineIdPath}`)).trim()

  await mayBe('first')
  await mark('factory-reset')
  await gateway.succeed('atomixctl factory-reset --yes --no-restart', { timeoutMs: 60_000 })
  await mayBe('first', 'none')
  await gateway.reboot({ timeoutMs: bootMs })
  await waitUntilUp(gateway)
  await mayBe('none')
  await waitUntilVerified(gateway)
  await gateway.succeed('sync')
  const events = (await deviceEvents(gateway)).map(({ event }) => event)
  if (!events.includes('factory-reset'))
    throw new Error(`after a reset the device tells ${events.join(', ')}`)
  const failed = await gateway.failedUnits()
  if (failed.length > 0) throw new Error(`after a reset ${failed.join(', ')} failed`)
  return { sets, configurations, machineId }
}

const applyLimit = { timeoutMs: 600_000 }

/** A bundle in the memory of the device. */
async function putUpload(gateway: Machine, name: AppliedName): Promise<void> {
  const { config, files } = uploads(`https://${updateHostName}`)[name]
  const folder = `/run/${name}`
  const entries = Object.entries({
    'config.toml': config,
    ...Object.fromEntries(Object.entries(files).map(([path, text]) => [`files/${path}`, text])),
  })
  for (const [path, text] of entries) {
    await gateway.succeed(`mkdir -p ${posix.dirname(`${folder}/${path}`)}`)
    await gateway.writeFile(`${folder}/${path}`, text)
  }
  await gateway.succeed(`tar -C ${folder} -czf ${folder}.tar.gz config.toml files`)
}
