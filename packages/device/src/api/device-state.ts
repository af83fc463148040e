import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type LanSettings, lanDefaults, parseLanSettings } from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { parseAssignments } from '../system-facts.ts'

/** Where the worker finds what it goes by. */
export interface StatePaths {
  /** `/data/config` */
  readonly configFolder: string
  /** `/data/config-rollback` */
  readonly rollbackFolder: string
  readonly dataUnavailableMarker: string
  readonly osRelease: string
}

/**
 * Whether the device has a configuration. While one takes the place of another there is a moment without one in its
 * folder, in which nobody may come and be the first: the one before is in the other folder then, and by the third look
 * it is either back or the new one is there.
 */
export async function isProvisioned({ configFolder, rollbackFolder }: StatePaths): Promise<boolean> {
  for (const folder of [configFolder, rollbackFolder, configFolder]) {
    if (await isThere(join(folder, 'config.toml'))) return true
  }
  return false
}

export function isDataUnavailable({ dataUnavailableMarker }: StatePaths): Promise<boolean> {
  return isThere(dataUnavailableMarker)
}

/** Anything but "it is not there" counts as being there: what cannot be looked at is not free to be taken. */
async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
  }
}

/** The gateway in the LAN. */
export interface Lan {
  readonly address: string
  readonly names: readonly string[]
}

export async function readLan({ configFolder }: Pick<StatePaths, 'configFolder'>): Promise<Lan> {
  const text = await readOptional(join(configFolder, 'lan-settings.json'))
  const lan: LanSettings =
    text === undefined ? lanDefaults : parseLanSettings('lan-settings.json', text).settings
  return {
    address: lan.gatewayCidr.split('/')[0]!,
    names: lan.gatewayAliases.flatMap((alias) => [alias, `${alias}.${lan.domain}`]),
  }
}

/** As /etc/os-release has it. */
export async function readVersion({ osRelease }: StatePaths): Promise<string> {
  return parseAssignments(await readFile(osRelease, 'utf8')).IMAGE_VERSION ?? 'unknown'
}
