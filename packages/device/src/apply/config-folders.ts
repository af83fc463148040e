import { dirname, join } from 'node:path'
import {
  configCandidateFolder,
  configDroppedFolder,
  configFolder,
  configRollbackFolder,
  type FoldersPresent,
  fleetSettingsPath,
  planRecovery,
  sshOnWanPath,
  usbUpdateAllowedPath,
} from '@atomixos/config'
import { folderMode, type RenderedFile } from '@atomixos/config/operator/index.ts'
import { type Disk, linkTree, removeTree } from './disk.ts'
import type { OwnerIds } from './owners.ts'
import type { FilesSink } from './read-upload.ts'

/** Where a configuration is, on its way. All in one folder of one file system. */
export interface ConfigFolders {
  readonly active: string
  readonly candidate: string
  /** There: the active one has not proved itself. */
  readonly rollback: string
  readonly dropped: string
}

export const configFolders: ConfigFolders = {
  active: configFolder,
  candidate: configCandidateFolder,
  rollback: configRollbackFolder,
  dropped: configDroppedFolder,
}

/** What people put beside the configuration by hand, and keep over every change of it. */
const carriedFiles = [sshOnWanPath, usbUpdateAllowedPath, fleetSettingsPath].map((path) =>
  path.slice(configFolder.length + 1),
)
const carriedFolders = ['openvpn']

/** An empty candidate, whatever an earlier attempt has left of one. */
export function makeCandidate(disk: Disk, { candidate }: ConfigFolders, ownerIds: OwnerIds): void {
  removeTree(disk, candidate)
  disk.makeFolder(candidate, folderMode, ownerIds('root:root'))
}

/**
 * Writes `files/` into the candidate. Everybody may read them, as the ids in a container without privileges are anybody; what
 * only its owner may read in the archive is for root and that account alone.
 */
export function candidateFiles(disk: Disk, { candidate }: ConfigFolders, ownerIds: OwnerIds): FilesSink {
  const root = ownerIds('root:root')
  let open: number | undefined
  return {
    folder: (name) => disk.makeFolder(join(candidate, name), folderMode, root),
    file(name, { executable, secret }) {
      const mode = (secret ? 0o640 : 0o644) | (executable ? (secret ? 0o110 : 0o111) : 0)
      open = disk.createFile(join(candidate, name), mode, secret ? ownerIds('root:appsvc') : root)
    },
    data: (chunk) => disk.write(open!, chunk),
    fileEnd() {
      disk.close(open!)
      open = undefined
    },
  }
}

/** What is derived, and what stays; then all of it is on the disk. */
export function completeCandidate(
  disk: Disk,
  folders: ConfigFolders,
  rendered: ReadonlyMap<string, RenderedFile>,
  options: { readonly ownerIds: OwnerIds; readonly keepFiles: boolean },
): void {
  const { active, candidate } = folders
  const { ownerIds, keepFiles } = options
  const made = new Set<string>(['.'])
  for (const [path, { content, mode, owner }] of rendered) {
    const folder = dirname(path)
    // Rendered paths are two deep at most.
    if (!made.has(folder)) disk.makeFolder(join(candidate, folder), folderMode, ownerIds('root:root'))
    made.add(folder)
    const file = disk.createFile(join(candidate, path), mode, ownerIds(owner))
    try {
      disk.write(file, Buffer.from(content))
    } finally {
      disk.close(file)
    }
  }
  for (const name of carriedFiles) {
    if (disk.exists(join(active, name))) disk.link(join(active, name), join(candidate, name))
  }
  for (const name of keepFiles ? [...carriedFolders, 'files'] : carriedFolders) {
    if (disk.exists(join(active, name))) linkTree(disk, join(active, name), join(candidate, name))
  }
  // `${FILES_DIR}` can always be named.
  const files = join(candidate, 'files')
  if (!disk.exists(files)) disk.makeFolder(files, folderMode, ownerIds('root:root'))
  disk.syncAll(candidate)
}

/** The candidate takes the place of the active configuration, which waits as the way back. */
export function promote(disk: Disk, folders: ConfigFolders, ownerIds: OwnerIds): void {
  const { active, candidate, rollback } = folders
  // A device without a configuration goes back to having none.
  if (!disk.exists(active)) disk.makeFolder(active, folderMode, ownerIds('root:root'))
  disk.rename(active, rollback)
  disk.rename(candidate, active)
  disk.syncFolder(dirname(active))
}

/** The new configuration stays. It does from the renaming on, whatever becomes of the rest. */
export function keepNew(disk: Disk, { rollback, dropped }: ConfigFolders): void {
  removeTree(disk, dropped)
  disk.rename(rollback, dropped)
  disk.syncFolder(dirname(rollback))
  removeTree(disk, dropped)
}

/**
 * - `whole`: nothing was to be done but tidying up
 * - `undone`: the configuration before is in its place again
 */
export function recover(disk: Disk, folders: ConfigFolders, ownerIds: OwnerIds): 'whole' | 'undone' {
  const names = Object.keys(folders) as (keyof ConfigFolders)[]
  const present = Object.fromEntries(
    names.map((name) => [name, disk.exists(folders[name])]),
  ) as unknown as FoldersPresent
  for (const step of planRecovery(present)) {
    const path = folders[step.folder]
    if (step.step === 'rename') {
      disk.rename(path, folders[step.to])
      // What is thrown away next must not be thrown away before the renaming holds.
      disk.syncFolder(dirname(path))
    } else if (step.step === 'remove') removeTree(disk, path)
    else disk.makeFolder(path, folderMode, ownerIds('root:root'))
  }
  return present.rollback ? 'undone' : 'whole'
}
