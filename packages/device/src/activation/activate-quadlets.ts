import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { containerServicesPath, quadletFolder, quadletRuntimePath } from '@atomixos/config'
import { parseQuadletRuntime, type QuadletEntry } from './quadlets.ts'

/** Where Quadlet looks for units of root that are not part of the image. */
const rootfulFolder = '/run/containers/systemd'

/** Lays out the containers of the configuration for systemd, which `container-activation.service` tells of them. */
export async function activateQuadlets(): Promise<void> {
  await rm(containerServicesPath, { force: true })
  await rm(rootfulFolder, { recursive: true, force: true })
  const text = await readFile(quadletRuntimePath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return
  const rootful = parse(text).filter(({ mode }) => mode === 'rootful')
  await mkdir(rootfulFolder, { recursive: true })
  for (const { unit } of rootful) await symlink(join(quadletFolder, unit), join(rootfulFolder, unit))
  const services = rootful.filter(({ unit }) => unit.endsWith('.container')).map(({ service }) => service)
  await mkdir(dirname(containerServicesPath), { recursive: true })
  await writeFile(containerServicesPath, services.map((service) => `${service}\n`).join(''))
}

function parse(text: string): QuadletEntry[] {
  try {
    return parseQuadletRuntime(text)
  } catch (error) {
    throw new Error(`${quadletRuntimePath}: ${(error as Error).message}`)
  }
}
