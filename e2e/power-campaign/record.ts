/**
 * One machine from its first boot to a confirmed update, with every write on record. As a device in the field: the
 * stories' state `provisioned`, and an update after it.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createMachine } from '@atomixos/machine'
import { bootMs, provision, waitUntilConfirmed, waitUntilUp, waitUntilVerified } from '../gateway.ts'
import { createGatewayNetwork } from '../gateway-network.ts'
import { nextBundlePath } from '../provisioned.ts'
import { bundlePath, diskBytes, gatewayOptions, manifest, setup } from '../setup.ts'
import { createUpdateServer } from '../update-server.ts'
import type { Mark } from './phases.ts'
import { logFile, type RecordingFile, recordingFile } from './recording.ts'

/** Made once for an image, a bundle and a way of recording; the folder with both files. */
export async function recordedLife(log: (line: string) => void): Promise<string> {
  const identity = createHash('sha256')
    .update(JSON.stringify([manifest.artifacts, bundlePath('next')]))
    .update(await readFile(import.meta.filename))
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
  // What the confirmation left in memory is written as well.
  await gateway.succeed('sync')
  await mark('end')
  await gateway.shutdown({ timeoutMs: bootMs })
  await rm(join(dir, 'recorded.raw'))
  const cardBytes = (options.sdCard as { sizeBytes: number }).sizeBytes
  return { systemBytes: diskBytes, cardBytes, marks }
}
