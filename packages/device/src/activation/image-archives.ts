import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { imageArchivesFolder, loadedArchivesPath } from '@atomixos/config'
import { imageOf, isArchiveName, isNamed, namesInArchive } from '@atomixos/config/operator/image-names.ts'
import { readOptional } from '../durable-file.ts'
import { lastLine, runProgram } from '../run-program.ts'
import type { ActivationLog } from './activate-network.ts'
import type { Mode, Quadlet } from './quadlet-plan.ts'

/**
 * Which archives of images have to be loaded, and for whom: those that a container names, unless that very file was
 * loaded before. Lines for `container-activation.service`.
 */
export async function archiveTasks(quadlets: readonly Quadlet[], log: ActivationLog): Promise<string[]> {
  const names = await readdir(imageArchivesFolder).catch(() => [])
  const loaded = new Set((await readOptional(loadedArchivesPath))?.split('\n'))
  const tasks: string[] = []
  for (const name of names.sort()) {
    const path = join(imageArchivesFolder, name)
    if (!isArchiveName(name)) {
      log.warn(`${path}: not loaded; give it a name of letters, digits, dots and dashes`)
      continue
    }
    const { size, mtimeMs, ino } = await stat(path)
    const stampOf = (mode: Mode) => `${mode}:${name}:${size}:${Math.trunc(mtimeMs)}:${ino}`
    // An archive that was loaded is not opened again: at every start but the first that is all there is to do.
    const done = (['rootful', 'rootless'] as const).filter((mode) => loaded.has(stampOf(mode)))
    const asking = quadlets.filter(({ mode }) => !done.includes(mode))
    if (done.length > 0 && asking.every((quadlet) => imageOf(quadlet) === undefined)) continue
    const images = await imagesIn(path, log)
    const modes = (['rootful', 'rootless'] as const).filter((mode) =>
      quadlets.some((quadlet) => {
        const image = imageOf(quadlet)
        return quadlet.mode === mode && image !== undefined && isNamed(image, images)
      }),
    )
    if (modes.length === 0) log.warn(`${path}: no container names ${images.join(', ') || 'an image in it'}`)
    for (const mode of modes) {
      if (!done.includes(mode)) tasks.push(`load ${mode} ${stampOf(mode)} ${path}`)
    }
  }
  return tasks
}

/** tar tells compressed archives by their content. */
async function imagesIn(path: string, log: ActivationLog): Promise<string[]> {
  const members = ['manifest.json', 'index.json']
  const read = await runProgram(['/usr/bin/tar', '-xOf', path, ...members], { timeoutMs: 60_000 })
  // One of the two is missing in most archives, and tar says so.
  const names = namesInArchive(read.stdout)
  if (names.length === 0) log.warn(`${path}: no archive with names of images: ${lastLine(read)}`)
  return names
}
