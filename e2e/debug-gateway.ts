import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createMachine, type Machine } from '@atomixos/machine'
import type { DebugStart } from './debug-start.ts'
import { createGatewayNetwork } from './gateway-network.ts'
import { pendingState } from './pending.ts'
import { forkGateway, type ProvisionedGateway, provisionedState } from './provisioned.ts'
import { gatewayOptions } from './setup.ts'

/** A person thinks longer than a story does. */
const deadlineMs = 24 * 3600_000

/**
 * The gateway that a person talks to, on networks of its own: a copy of a saved machine, running; or one that is off, with
 * a display, on the disk that an earlier session kept or as flashed. `keptDir` gets disk and card in the end.
 */
export async function debugGateway(options: {
  readonly start: DebugStart
  readonly dir: string
  readonly keptDir: string | undefined
}): Promise<ProvisionedGateway & { readonly begin: string }> {
  const { start, dir, keptDir } = options
  const kept = keptDir === undefined ? undefined : keptPaths(keptDir)
  const foundKept = kept !== undefined && (await isThere(kept.disk)) && (await isThere(kept.card))
  if (start !== 'flashed' && !foundKept) {
    const saved = await (start === 'pending' ? pendingState() : provisionedState())
    const device = await forkGateway(saved, dir, { deadlineMs })
    return {
      ...device,
      begin: 'it runs: a copy of a saved device in the field',
      async [Symbol.asyncDispose]() {
        await keepDisks(device.gateway, kept)
        await device[Symbol.asyncDispose]()
      },
    }
  }
  const network = await createGatewayNetwork(dir)
  try {
    const gateway = await createMachine(
      gatewayOptions(dir, {
        ...{ lab: network.lab, nics: network.nics, panics: 'expected', deadlineMs },
        ...{ watchdog: true, usb: true, display: true },
        ...(foundKept && kept && { disk: { file: kept.disk }, sdCard: { file: kept.card } }),
      }),
    )
    return {
      ...{ gateway, network },
      begin: foundKept ? 'it is off, with the disk that was kept' : 'it is off, as flashed',
      async [Symbol.asyncDispose]() {
        if (foundKept) await settle(gateway)
        else await keepDisks(gateway, kept)
        await gateway[Symbol.asyncDispose]()
        await network[Symbol.asyncDispose]()
        if (!foundKept) {
          await Promise.all([gateway.disk.path, gateway.sdCard.path].map((path) => rm(path, { force: true })))
        }
      },
    }
  } catch (error) {
    await network[Symbol.asyncDispose]()
    throw error
  }
}

interface KeptPaths {
  readonly disk: string
  readonly card: string
}

function keptPaths(dir: string): KeptPaths {
  return { disk: join(dir, 'kept-disk.img'), card: join(dir, 'kept-environment.img') }
}

async function keepDisks(gateway: Machine, kept: KeptPaths | undefined): Promise<void> {
  if (kept === undefined) return
  await settle(gateway)
  await gateway.disk.copyTo(kept.disk)
  await gateway.sdCard.copyTo(kept.card)
}

/** Off, as by a power cut, after what the guest has not written yet is written. */
async function settle(gateway: Machine): Promise<void> {
  // One that does not answer is kept as it is.
  if (gateway.running) await gateway.execute('sync', { reachTimeoutMs: 10_000 }).catch(() => {})
  await gateway.stop()
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
