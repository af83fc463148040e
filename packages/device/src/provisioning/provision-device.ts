import { oneLine } from '@atomixos/config'
import type { Job, JobSource } from '../apply/job.ts'
import { problemLines } from '../apply/render-job.ts'
import type { Seed } from './read-seed.ts'
import type { UsbPartition } from './usb-partitions.ts'

/** All that the first configuration may come from, and who is told. */
export interface ProvisioningWorld {
  /** There is a configuration that has proved itself. */
  readonly isProvisioned: () => boolean
  /** Somebody has the boot UI or the API apply one just now. */
  readonly isBusy: () => Promise<boolean>
  /** This device was flashed and has not been provisioned since. */
  readonly looksAtBoot: () => boolean
  readonly readBootSeed: () => Promise<Seed | undefined>
  readonly partitions: () => readonly UsbPartition[]
  readonly readStick: (partition: UsbPartition) => Promise<Seed | undefined>
  /** Undefined: another one was faster. */
  readonly apply: (source: JobSource, upload: Uint8Array) => Promise<Job | undefined>
  /** IPv4 addresses of this device. */
  readonly addresses: () => readonly string[]
  /** On the console and in the log. */
  readonly tell: (line: string) => void
  readonly sleep: (ms: number) => Promise<void>
}

const intervalMs = 2000
const problemsShownMax = 8

/**
 * Until the device has its first configuration: from the boot partition, from USB sticks as they are plugged in, or by the boot
 * UI, for as long as it takes. A source that fails is told, and the next one has its turn.
 */
export async function provisionDevice(world: ProvisioningWorld): Promise<void> {
  const { isProvisioned, isBusy, looksAtBoot, readBootSeed, partitions, readStick, tell, sleep } = world
  const tried = new Set<string>()
  let bootTried = false
  let told = ''
  while (!isProvisioned()) {
    if (await isBusy()) {
      await sleep(intervalMs)
      continue
    }
    if (looksAtBoot() && !bootTried) {
      // Another one being faster is no reason to come back to it: that one is newer.
      bootTried = true
      await offer(world, 'boot-partition', 'the boot partition', readBootSeed)
      told = ''
      continue
    }
    const stick = partitions().find(({ key }) => !tried.has(key))
    if (stick !== undefined) {
      tried.add(stick.key)
      await offer(world, 'usb', `the USB stick (${stick.name})`, () => readStick(stick))
      told = ''
      continue
    }
    const text = waitingText(world.addresses())
    if (text !== told) tell(text)
    told = text
    await sleep(intervalMs)
  }
  tell('this device is provisioned')
}

async function offer(
  { tell, apply }: ProvisioningWorld,
  source: JobSource,
  where: string,
  read: () => Promise<Seed | undefined>,
): Promise<void> {
  const seed = await read().catch((error: Error) => error)
  if (seed instanceof Error) return tell(`${where}: ${oneLine(seed.message)}`)
  if (seed === undefined) return tell(`${where} holds no configuration`)
  tell(`applying ${seed.name} of ${where}`)
  const job = await apply(source, seed.bytes).catch((error: Error) => error)
  if (job instanceof Error) return tell(`${seed.name} of ${where} cannot be applied: ${oneLine(job.message)}`)
  if (job === undefined)
    return tell(`${seed.name} of ${where} was not looked at: another one is being applied`)
  if (job.state === 'succeeded') return
  tell(`${seed.name} of ${where} was not applied: ${oneLine(job.error ?? 'it failed', 1000)}`)
  for (const line of problemLines(job.problems, problemsShownMax)) tell(`  ${oneLine(line)}`)
}

/** What the device waits for, and where it is found. Pure. */
export function waitingText(addresses: readonly string[]): string {
  const pages = addresses.map((address) => `http://${address}:8080`)
  const page =
    pages.length === 0 ? 'its page, once it has a network address' : `its page at ${pages.join(' or ')}`
  return `this device is not provisioned: it waits for a USB stick with config.toml, or for ${page}`
}
