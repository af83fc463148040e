import { UserError } from '../errors.ts'
import type { LockedFile } from '../lock/lock.ts'
import { type AptSource, readHostAptSources } from './apt-sources.ts'

/** Base addresses without a trailing slash; paths of the lock are relative to them. */
export interface Mirrors {
  readonly debian: string
  readonly 'debian-security': string
  /** A snapshot archive's root, asked when the mirror has dropped a file; undefined: none. */
  readonly snapshot: string | undefined
}

/**
 * Where files come from: `ATOMIXOS_DEBIAN_MIRROR`, else the Debian entries of the host's apt sources.
 *
 * The security archive is `ATOMIXOS_DEBIAN_SECURITY_MIRROR`, else the host's entry for it when the mirror is the
 * host's too, else the mirror's address with a last segment `debian` replaced by `debian-security`: mirrors
 * keep the two side by side.
 */
export function chooseMirrors(
  env: Readonly<Record<string, string | undefined>>,
  hostSources: () => readonly AptSource[] = readHostAptSources,
): Mirrors {
  const snapshot = clean(env.ATOMIXOS_DEBIAN_SNAPSHOT)
  const securityGiven = clean(env.ATOMIXOS_DEBIAN_SECURITY_MIRROR)
  const given = clean(env.ATOMIXOS_DEBIAN_MIRROR)
  if (given !== undefined) {
    return { debian: given, 'debian-security': securityGiven ?? securityBeside(given), snapshot }
  }
  const sources = hostSources().flatMap(({ uri }) => clean(uri) ?? [])
  const web = sources.filter((uri) => /^https?:\/\//.test(uri))
  const debian = web.find((uri) => lastSegment(uri) === 'debian')
  if (debian === undefined) {
    throw new UserError('no Debian mirror is known: the apt sources of this machine name none', {
      hint: 'set ATOMIXOS_DEBIAN_MIRROR to the address of one, the folder that holds dists/ and pool/',
    })
  }
  const security = web.find((uri) => lastSegment(uri) === 'debian-security')
  return { debian, 'debian-security': securityGiven ?? security ?? securityBeside(debian), snapshot }
}

/**
 * Where a locked file may be found, the mirror first. A snapshot archive is asked in its two usual layouts: with the
 * time of the lock as a folder, and as a mirror that never forgets.
 *
 * @param epochSeconds The lock's time stamp.
 */
export function addressesOf(
  mirrors: Mirrors,
  file: Pick<LockedFile, 'archive' | 'path'>,
  epochSeconds: number,
): string[] {
  const path = encodePath(file.path)
  const addresses = [`${mirrors[file.archive]}/${path}`]
  if (mirrors.snapshot !== undefined) {
    const time = new Date(epochSeconds * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '')
    addresses.push(`${mirrors.snapshot}/${file.archive}/${time}/${path}`)
    addresses.push(`${mirrors.snapshot}/${file.archive}/${path}`)
  }
  return addresses
}

function securityBeside(mirror: string): string {
  return lastSegment(mirror) === 'debian' ? `${mirror}-security` : `${mirror}/debian-security`
}

function lastSegment(uri: string): string {
  return uri.slice(uri.lastIndexOf('/') + 1)
}

function clean(uri: string | undefined): string | undefined {
  const trimmed = uri?.trim().replace(/\/+$/, '')
  return trimmed === '' ? undefined : trimmed
}

/** Versions may hold `~`, `+` and `%3a`, which must reach the server as they are. */
function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/').replaceAll('%2B', '+')
}
