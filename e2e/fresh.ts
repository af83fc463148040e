import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { createMachine, type SavedState } from '@atomixos/machine'
import { waitUntilUp } from './gateway.ts'
import { createGatewayNetwork } from './gateway-network.ts'
import { importApp } from './one-container.ts'
import { sharedState } from './provisioned.ts'
import { gatewayOptions, storyDir } from './setup.ts'

/**
 * A flashed device that has started for the first time and waits for its configuration, saved once for all stories; with
 * the image that containers are made of, of `sleep` and `false`. For stories that are not about the first start itself.
 */
export function freshState(): Promise<SavedState> {
  return sharedState('fresh', makeState)
}

async function makeState(stateDir: string): Promise<SavedState> {
  // By the image, as those of all shared states.
  const dir = await storyDir(basename(stateDir))
  await using network = await createGatewayNetwork(dir)
  await using gateway = await createMachine(
    gatewayOptions(dir, { lab: network.lab, nics: network.nics, saveable: true }),
  )
  await gateway.start()
  await waitUntilUp(gateway)
  await importApp(gateway, ['usr/bin/sleep', 'usr/bin/false'])
  await gateway.succeed('sync')
  const saved = await gateway.saveState(stateDir)
  await gateway.stop()
  await rm(dir, { recursive: true, force: true })
  return saved
}
