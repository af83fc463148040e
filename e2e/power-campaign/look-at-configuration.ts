/** What the next start would take for the device's configuration, from the files that a cut has left of /data. Pure. */
import {
  type ConfigPlace,
  configCandidateFolder,
  configDroppedFolder,
  configFolder,
  configRollbackFolder,
  dataMountPoint,
  factoryResetPath,
  machineIdPath,
  planRecovery,
} from '@atomixos/config'
import type { ConfigurationSet } from './configurations.ts'
import type { FoundFile } from './read-data.ts'

const below = (path: string) => path.slice(dataMountPoint.length + 1)

const folders: Readonly<Record<ConfigPlace, string>> = {
  active: below(configFolder),
  candidate: below(configCandidateFolder),
  rollback: below(configRollbackFolder),
  dropped: below(configDroppedFolder),
}

/** No set of files has this name. */
export const noConfiguration = 'none'

/** Which files of /data have to be read. */
export function isOfInterest(path: string): boolean {
  return (
    Object.values(folders).some((folder) => path.startsWith(`${folder}/`)) ||
    path === below(machineIdPath) ||
    path === below(factoryResetPath)
  )
}

export interface FoundConfiguration {
  /** A name of `sets`, `none` on a new /data; undefined: what would be taken is neither. */
  readonly name: string | undefined
  /** In words, for the report. */
  readonly detail: string
  /** The name when the next start is up, which makes a new /data where a reset was asked for. */
  readonly afterStart: string | undefined
}

/**
 * @param tree All paths below /data.
 * @param files Those that are of interest.
 * @param known Its machine id is that of the /data before a reset.
 */
export function lookAtConfiguration(
  tree: ReadonlyMap<string, number>,
  files: ReadonlyMap<string, FoundFile>,
  known: { readonly sets: Readonly<Record<string, ConfigurationSet>>; readonly machineId: string },
): FoundConfiguration {
  const taken = afterRecovery(tree, files)
  const machineId = files.get(below(machineIdPath))?.text?.trim()
  if (machineId !== known.machineId) {
    const left = [...files.keys()].filter((path) => path !== below(machineIdPath))
    if (left.length === 0) return newData('a new /data without configuration')
    return { ...neither, detail: `a new /data that holds ${left.slice(0, 3).join(', ')}` }
  }
  const found = Object.entries(known.sets).find(([, set]) => differences(taken, set).length === 0)
  if (found === undefined) {
    const nearest = Object.entries(known.sets)
      .map(([name, set]) => ({ name, paths: differences(taken, set) }))
      .sort((a, b) => a.paths.length - b.paths.length)[0]!
    return { ...neither, detail: `${nearest.name} but for ${nearest.paths.slice(0, 3).join(', ')}` }
  }
  const [name] = found
  if (!files.has(below(factoryResetPath))) return { name, detail: name, afterStart: name }
  return { name, detail: `${name}, and a factory reset`, afterStart: noConfiguration }
}

const neither = { name: undefined, afterStart: undefined } as const

/** There is one, or the next start makes it. */
export function newData(detail: string): FoundConfiguration {
  return { name: noConfiguration, detail, afterStart: noConfiguration }
}

/** The device's own decision, on lists of files instead of folders. */
function afterRecovery(
  tree: ReadonlyMap<string, number>,
  files: ReadonlyMap<string, FoundFile>,
): ReadonlyMap<string, string> {
  const contents = new Map<ConfigPlace, ReadonlyMap<string, string>>()
  for (const place of Object.keys(folders) as ConfigPlace[]) {
    const prefix = `${folders[place]}/`
    if (!tree.has(folders[place])) continue
    const inside = [...files].filter(([path]) => path.startsWith(prefix))
    contents.set(place, new Map(inside.map(([path, { sha256 }]) => [path.slice(prefix.length), sha256])))
  }
  const has = (place: ConfigPlace) => contents.has(place)
  const present = {
    ...{ active: has('active'), candidate: has('candidate') },
    ...{ rollback: has('rollback'), dropped: has('dropped') },
  }
  for (const step of planRecovery(present)) {
    if (step.step === 'rename') contents.set(step.to, contents.get(step.folder)!)
    if (step.step === 'make') contents.set(step.folder, new Map())
    else contents.delete(step.folder)
  }
  return contents.get('active')!
}

/** Paths that are in one only, or not the same. */
function differences(taken: ReadonlyMap<string, string>, { files }: ConfigurationSet): string[] {
  const paths = new Set([...taken.keys(), ...Object.keys(files)])
  return [...paths].filter((path) => taken.get(path) !== files[path]).sort()
}
