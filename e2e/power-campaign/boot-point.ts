/** A disk as a cut left it, given to a machine: what comes up has to be what was said on paper. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dataUnavailableMarkerPath } from '@atomixos/config'
import { createMachine } from '@atomixos/machine'
import { runningSlot, triesSince, waitUntilUp } from '../gateway.ts'
import { createGatewayNetwork } from '../gateway-network.ts'
import { gatewayOptions } from '../setup.ts'
import { type KeptDisk, keptFiles } from './campaign.ts'
import type { BootedPoint } from './report.ts'

/** The disk is gone afterwards if it came up as it should; the console log stays. */
export async function bootPoint({ point, dir }: KeptDisk): Promise<BootedPoint> {
  const started = Date.now()
  const [file, card] = [join(dir, keptFiles.disk), join(dir, keptFiles.card)]
  const seen: { slot?: string; version?: string; data?: string } = {}
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
    const problems = [
      ...(seen.slot === point.comesUp ? [] : [`slot ${seen.slot} came up`]),
      ...(triesSince(gateway, 0)[0] === point.first ? [] : ['another slot was tried first']),
      ...(unavailable.exitCode === 0 ? [`/data is not available: ${unavailable.stdout.trim()}`] : []),
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
    seconds: Math.round((Date.now() - started) / 1000),
  }
}
