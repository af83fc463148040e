import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMachine, findState, type Machine, restore, type SavedState } from '@atomixos/machine'
import { provision, waitUntilConfirmed, waitUntilUp, waitUntilVerified } from './gateway.ts'
import { createGatewayNetwork, type GatewayNetwork } from './gateway-network.ts'
import { bundlePath, gatewayOptions, manifest, programs, setup, storyDir } from './setup.ts'
import { createUpdateServer } from './update-server.ts'

/**
 * A device in the field, saved once for all stories: flashed, provisioned, restarted, its slot A confirmed by the
 * health check, with an address on the WAN. With a watchdog that nobody has switched on, and an empty USB controller.
 */
export function provisionedState(): Promise<SavedState> {
  return sharedState('provisioned', makeState)
}

/** Where that device has the next release lying, as if it had been fetched. */
export const nextBundlePath = '/data/update/next.raucb'

/** One state for all stories of a run and of the runs that follow, as long as they are about the same image. */
export async function sharedState(
  name: string,
  make: (stateDir: string) => Promise<SavedState>,
): Promise<SavedState> {
  const identity = createHash('sha256')
    .update(JSON.stringify([manifest.artifacts, setup.bundles.next]))
    .digest('hex')
    .slice(0, 16)
  const dir = join(setup.workDir, 'states', `${name}-${identity}`)
  await mkdir(join(setup.workDir, 'states'), { recursive: true })
  await using _ = await exclusively(`${dir}.lock`)
  const found = await findState(dir)
  if (found) return found
  await removeOthers(name, dir)
  // Awaited here: the lock ends with this scope.
  return await make(dir)
}

/** States of other images: gigabytes that no story asks for any more. */
async function removeOthers(name: string, dir: string): Promise<void> {
  for (const entry of await readdir(dirname(dir))) {
    const other = join(dirname(dir), entry)
    if (entry.startsWith(`${name}-`) && !other.startsWith(dir))
      await rm(other, { recursive: true, force: true })
  }
}

async function makeState(stateDir: string): Promise<SavedState> {
  // By the image: the stories of another checkout may make theirs at the same time.
  const dir = await storyDir(basename(stateDir))
  await using network = await createGatewayNetwork(dir)
  await using gateway = await createMachine(
    gatewayOptions(dir, {
      ...{ lab: network.lab, nics: network.nics, watchdog: true, saveable: true },
      // For what is plugged into a fork; the hardware of a saved machine does not grow.
      usb: true,
    }),
  )
  await gateway.start()
  await waitUntilUp(gateway)
  await waitUntilVerified(gateway)
  await provision(gateway)
  await using server = await createUpdateServer(network)
  const bundle = await readFile(bundlePath('next'))
  server.answer = (_, response) => response.end(bundle)
  await gateway.succeed(`curl -sSfk -o ${nextBundlePath} ${server.url}/next; sync`, { timeoutMs: 300_000 })
  await gateway.reboot({ timeoutMs: 400_000 })
  await waitUntilConfirmed(gateway, 'A')
  await gateway.succeed('sync; echo 3 >/proc/sys/vm/drop_caches')
  const saved = await gateway.saveState(stateDir)
  await gateway.stop()
  await rm(dir, { recursive: true, force: true })
  return saved
}

export interface ProvisionedGateway extends AsyncDisposable {
  readonly gateway: Machine
  readonly network: GatewayNetwork
}

/** A copy of its own of the device in the field, running, on networks of its own. */
export async function provisionedGateway(dir: string): Promise<ProvisionedGateway> {
  return forkGateway(await provisionedState(), dir)
}

/** Any saved state of a gateway; its disks are thrown away in the end, its logs stay. */
export async function forkGateway(
  saved: SavedState,
  dir: string,
  { deadlineMs = 60 * 60_000 }: { readonly deadlineMs?: number } = {},
): Promise<ProvisionedGateway> {
  const network = await createGatewayNetwork(dir)
  try {
    const gateway = await restore(saved, {
      name: 'gateway',
      programs,
      dir,
      lab: network.lab,
      nics: network.nics,
      // What is about to be installed may well panic.
      panics: 'expected',
      deadlineMs,
    })
    return {
      gateway,
      network,
      async [Symbol.asyncDispose]() {
        await gateway[Symbol.asyncDispose]()
        await network[Symbol.asyncDispose]()
        await Promise.all([gateway.disk.path, gateway.sdCard.path].map((path) => rm(path, { force: true })))
      },
    }
  } catch (error) {
    await network[Symbol.asyncDispose]()
    throw error
  }
}

/** Stories run in two processes: one makes, the other waits. A lock whose owner is gone counts for nothing. */
async function exclusively(lockDir: string): Promise<AsyncDisposable> {
  const ownerPath = join(lockDir, 'owner')
  for (;;) {
    try {
      await mkdir(lockDir)
      await writeFile(ownerPath, String(process.pid))
      return { [Symbol.asyncDispose]: () => rm(lockDir, { recursive: true, force: true }) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const owner = Number(await readFile(ownerPath, 'utf8').catch(() => process.pid))
      if (owner > 0 && !isRunning(owner)) await rm(lockDir, { recursive: true, force: true })
      else await sleep(500)
    }
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
