import { existsSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  bootSeedName,
  bootSeedPendingPath,
  freshFlashMarkerPath,
  partitionLinkFolder,
} from '@atomixos/config'
import { currentJob, isProvisioned, submitJob } from '../apply/device-jobs.ts'
import type { Job, JobSource } from '../apply/job.ts'
import { writeDurably } from '../durable-file.ts'
import { provisionDevice } from '../provisioning/provision-device.ts'
import { readSeed, stickSeedNames } from '../provisioning/read-seed.ts'
import { readUsbPartitions } from '../provisioning/usb-partitions.ts'
import { follow } from './config.ts'

/** `provision`: waits for the first configuration. */
export async function provision(): Promise<number> {
  // The mark of a fresh flash is in memory: after a power cut this one is left.
  if (existsSync(freshFlashMarkerPath)) await writeDurably(bootSeedPendingPath, '').catch(tellError)
  await provisionDevice({
    isProvisioned,
    isBusy: async () => (await currentJob()) !== undefined,
    looksAtBoot: () => existsSync(freshFlashMarkerPath) || existsSync(bootSeedPendingPath),
    readBootSeed: () => readSeed(`${partitionLinkFolder}/boot-a`, 'vfat', [bootSeedName]),
    partitions: readUsbPartitions,
    readStick: ({ name, fileSystem }) => readSeed(`/dev/${name}`, fileSystem, stickSeedNames),
    apply: applySeed,
    addresses: readAddresses,
    tell,
    sleep,
  })
  return 0
}

async function applySeed(source: JobSource, upload: Uint8Array): Promise<Job | undefined> {
  const submitted = await submitJob({ source, upload })
  return 'busy' in submitted ? undefined : follow(submitted.id, (line) => process.stdout.write(`${line}\n`))
}

function readAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).flatMap(({ family, internal, address }) =>
      family === 'IPv4' && !internal ? [address] : [],
    ),
  )
}

function tell(line: string): void {
  process.stdout.write(`<5>${line}\n`)
  try {
    // The prompt for a login may stand in the line.
    writeFileSync('/dev/console', `\r\nAtomixOS: ${line}\r\n`)
  } catch (error) {
    tellError(error as Error)
  }
}

function tellError(error: Error): void {
  process.stdout.write(`<4>${error.message}\n`)
}
