import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createMachine, type SavedState } from '@atomixos/machine'
import { addRequiredContainer, waitUntilUp } from './gateway.ts'
import { createGatewayNetwork } from './gateway-network.ts'
import { nextBundlePath, provisionedGateway, sharedState } from './provisioned.ts'
import { gatewayOptions, storyDir } from './setup.ts'

/** A new release in B that has come up, with a container that is required, in the first seconds of its 60 s. */
export function pendingState(): Promise<SavedState> {
  return sharedState('pending', makeState)
}

async function makeState(stateDir: string): Promise<SavedState> {
  const dir = await storyDir(basename(stateDir))
  const [image, card] = [join(dir, 'installed.img'), join(dir, 'installed-card.img')]
  {
    await using device = await provisionedGateway(join(dir, 'install'))
    const { gateway } = device
    await addRequiredContainer(gateway)
    await gateway.succeed(`atomixctl update install --no-restart ${nextBundlePath}`, { timeoutMs: 400_000 })
    await gateway.shutdown()
    await gateway.disk.copyTo(image)
    await gateway.sdCard.copyTo(card)
  }
  await using network = await createGatewayNetwork(dir)
  await using gateway = await createMachine(
    gatewayOptions(dir, {
      ...{ lab: network.lab, nics: network.nics, watchdog: true, saveable: true },
      ...{ disk: { image }, sdCard: { image: card } },
    }),
  )
  await gateway.start()
  await waitUntilUp(gateway)
  await gateway.waitUntilSucceeds('journalctl -b -u os-verification -o cat | grep -q "watching for"', {
    timeoutMs: 400_000,
  })
  const saved = await gateway.saveState(stateDir)
  await gateway.stop()
  await rm(dir, { recursive: true, force: true })
  return saved
}
