import { rename, rm } from 'node:fs/promises'
import {
  bundleDownloadPath,
  DeltaError,
  type DeltaSourceName,
  deltaDownloadPath,
  deltaRefusedPath,
  deltaRoundsPath,
  partitionLinkFolder,
  type SlotName,
} from '@atomixos/config'
import { recordEvents } from '../events/record-events.ts'
import { readSystemFacts } from '../system-facts.ts'
import { authorityPaths } from './ask-server.ts'
import { fileIsHere, fileProblem } from './bundle-file.ts'
import { noteVainRound, readDeltaRefusal, readVainRounds, writeDeltaRefusal } from './delta-refused.ts'
import { readDownloadState } from './download-state.ts'
import type { FetchDoors } from './fetch-bundle.ts'
import { keepDownloading } from './keep-downloading.ts'
import type { Answer, OfferedDelta } from './parse-answer.ts'
import { rebuildFromDelta } from './rebuild-bundle.ts'

/** A bundle while it is made of a delta. */
const rebuildPath = `${bundleDownloadPath}.rebuilt`

/** How the device really fetches: into its place on /data, from the partitions of the running slot. */
export function fetchDoors(
  version: string,
  options: { readonly say: (line: string) => void; readonly bytesPerSMax: number | undefined },
): FetchDoors {
  const { say, bytesPerSMax } = options
  const bring = (url: string, path: string, sizeBytesMax: number | undefined) =>
    keepDownloading({
      ...{ url, version, path, say, bytesPerSMax },
      authorities: authorityPaths,
      onProgress: progressInTenths(say),
      ...(sizeBytesMax !== undefined && { limits: { sizeBytesMax } }),
    })
  return {
    async fetchDelta(delta) {
      if (await fileIsHere(deltaDownloadPath, delta)) return
      await bring(delta.url, deltaDownloadPath, delta.sizeBytes)
      const problem = await fileProblem(deltaDownloadPath, delta, 'delta')
      if (problem !== undefined) throw new DeltaError(problem)
    },
    rebuild,
    async fetchWhole({ bundleUrl, file }) {
      await removeDelta()
      await bring(bundleUrl, bundleDownloadPath, file?.sizeBytes)
    },
    async partBytes({ bundleUrl }) {
      const kept = await readDownloadState(`${bundleDownloadPath}.part.json`, { url: bundleUrl, version })
      return kept?.syncedBytes ?? 0
    },
    vainRounds: (delta) => readVainRounds(deltaRoundsPath, delta),
    noteRound: (delta, vain) => noteVainRound(deltaRoundsPath, delta, vain),
    async deltaPartBytes({ url }) {
      const kept = await readDownloadState(`${deltaDownloadPath}.part.json`, { url, version })
      return kept?.syncedBytes ?? 0
    },
    refusedBefore: (delta) => readDeltaRefusal(deltaRefusedPath, delta),
    async refuse(delta, reason) {
      recordEvents([{ event: 'delta-refused', version, reason }])
      await noteRefusal(delta, reason, say)
    },
    say,
  }
}

/** What was fetched is not wanted any more. Parts of downloads stay: the next one of the same version goes on with them. */
export async function discardFetched(): Promise<void> {
  for (const path of [bundleDownloadPath, deltaDownloadPath, rebuildPath]) await rm(path, { force: true })
}

async function rebuild({ file }: Answer): Promise<void> {
  const { slot } = await readSystemFacts()
  if (slot === undefined) throw new DeltaError('the running slot is not known')
  await rebuildFromDelta({
    deltaPath: deltaDownloadPath,
    bundle: file!,
    outPath: rebuildPath,
    sourcePath: (name) => partitionPath(name, slot),
  })
  await rename(rebuildPath, bundleDownloadPath)
  await removeDelta()
  await removePart(bundleDownloadPath)
}

/** Where an image of a slot is. */
export function partitionPath(name: DeltaSourceName, slot: SlotName): string {
  return `${partitionLinkFolder}/${name}-${slot.toLowerCase()}`
}

async function removeDelta(): Promise<void> {
  for (const path of [deltaDownloadPath, rebuildPath]) await rm(path, { force: true })
  await removePart(deltaDownloadPath)
}

async function removePart(path: string): Promise<void> {
  for (const name of ['.part', '.part.json']) await rm(`${path}${name}`, { force: true })
}

/** A full disk must not keep the full bundle from coming: it has its own say about space. */
async function noteRefusal(delta: OfferedDelta, reason: string, say: FetchDoors['say']): Promise<void> {
  await writeDeltaRefusal(deltaRefusedPath, delta, reason).catch((error: Error) => {
    say(`<4>${deltaRefusedPath} can't be written: ${error.message}`)
  })
}

/** The journal needs no more than ten lines of a download. */
function progressInTenths(
  say: (line: string) => void,
): (bytes: number, totalBytes: number | undefined) => void {
  let told = 0
  return (bytes, totalBytes) => {
    const tenths = totalBytes === undefined ? 0 : Math.floor((bytes * 10) / totalBytes)
    if (tenths > told) say(`fetched ${tenths * 10} %`)
    told = Math.max(told, tenths)
  }
}
