/** A disk as a cut left it, given to a machine: what comes up has to be what was said on paper. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { configFolder, dataUnavailableMarkerPath } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { runningSlot, triesSince, waitUntilUp } from '../gateway.ts'
import { createGatewayNetwork } from '../gateway-network.ts'
import { gatewayOptions } from '../setup.ts'
import { type KeptDisk, keptFiles } from './campaign.ts'
import { listingCommand, parseListing } from './configurations.ts'
import { noConfiguration } from './look-at-configuration.ts'
import type { RecordingFile } from './recording.ts'
import type { BootedPoint } from './report.ts'

/** The disk is gone afterwards if it came up as it should; the console log stays. */
export async function bootPoint({ point, dir }: KeptDisk, sets: RecordingFile['sets']): Promise<BootedPoint> {
  const started = Date.now()
  const [file, card] = [join(dir, keptFiles.disk), join(dir, keptFiles.card)]
  const seen: { slot?: string; version?: string; data?: string; configuration?: string } = {}
  let problem: string | undefined
  try {
    // Of the health checks some are about the networks.
    await using network = await createGatewayNetwork(dir)
    const { lab, nics } = network
    await using gateway = await createMachine(
      gatewayOptions(dir, { disk: { file }, sdCard: { file: card }, lab, nics, panics: 'expected' }),
    )
    await gateway.start()
    await waitUntilUp(gateway)
    seen.slot = await runningSlot(gateway)
    seen.version = (await gateway.succeed('. /etc/os-release; echo "$IMAGE_VERSION"')).trim()
    seen.data = (await gateway.execute('findmnt -no FSTYPE /data')).stdout.trim()
    const unavailable = await gateway.execute(`cat ${dataUnavailableMarkerPath}`)
    const taken = point.takes === undefined ? undefined : await configurationOf(gateway, sets)
    if (taken !== undefined) seen.configuration = taken
    const problems = [
      ...(seen.slot === point.comesUp ? [] : [`slot ${seen.slot} came up`]),
      ...(triesSince(gateway, 0)[0] === point.first ? [] : ['another slot was tried first']),
      ...(unavailable.exitCode === 0 ? [`/data is not available: ${unavailable.stdout.trim()}`] : []),
      ...(taken === point.takes ? [] : [`the configuration is "${taken}" instead of "${point.takes}"`]),
      ...(seen.data === 'f2fs' ? [] : [`/data is "${seen.data}"`]),
      ...(await gateway.failedUnits()).map((unit) => `${unit} failed`),
    ]
    problem = problems.length > 0 ? problems.join('; ') : undefined
  } catch (error) {
    problem = error instanceof Error ? error.message : String(error)
  }
  if (problem === undefined) await Promise.all([file, card].map((path) => rm(path, { force: true })))
  return {
    number: point.number,
    problem,
    expectedSlot: point.comesUp ?? 'none',
    slot: seen.slot,
    version: seen.version,
    data: seen.data,
    configuration: seen.configuration,
    seconds: Math.round((Date.now() - started) / 1000),
  }
}

/** By its name, as the device has it. */
async function configurationOf(gateway: Machine, sets: RecordingFile['sets']): Promise<string> {
  const { files } = parseListing(await gateway.succeed(listingCommand(configFolder)))
  const paths = Object.keys(files)
  if (paths.length === 0) return noConfiguration
  const same = Object.entries(sets).find(
    ([, set]) =>
      Object.keys(set.files).length === paths.length &&
      paths.every((path) => set.files[path] === files[path]),
  )
  return same?.[0] ?? 'another one'
}
