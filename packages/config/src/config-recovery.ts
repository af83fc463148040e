/** Where a configuration is, on its way from an upload to being the active one. All in one folder of one file system. */
export type ConfigPlace = 'active' | 'candidate' | 'rollback' | 'dropped'

/** Which of the folders there are. */
export type FoldersPresent = Readonly<Record<ConfigPlace, boolean>>

export type FolderStep =
  | { readonly step: 'remove' | 'make'; readonly folder: ConfigPlace }
  | { readonly step: 'rename'; readonly folder: ConfigPlace; readonly to: ConfigPlace }

/**
 * From whatever a power cut or a failure has left to one whole configuration. As long as there is a way back it is taken:
 * nobody has seen that the new one is good. Each step leaves what leads to the same end. Pure.
 */
export function planRecovery(present: FoldersPresent): FolderStep[] {
  const steps: FolderStep[] = []
  if (present.rollback) {
    if (present.active) {
      if (present.dropped) steps.push({ step: 'remove', folder: 'dropped' })
      steps.push({ step: 'rename', folder: 'active', to: 'dropped' })
    }
    steps.push({ step: 'rename', folder: 'rollback', to: 'active' })
    steps.push({ step: 'remove', folder: 'dropped' })
  } else {
    if (!present.active) steps.push({ step: 'make', folder: 'active' })
    if (present.dropped) steps.push({ step: 'remove', folder: 'dropped' })
  }
  if (present.candidate) steps.push({ step: 'remove', folder: 'candidate' })
  return steps
}
