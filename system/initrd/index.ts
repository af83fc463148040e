import type { TreeDefinition } from '@atomixos/image/definition/words.ts'
import { base } from './base.ts'
import { data } from './data.ts'
import { devices } from './devices.ts'
import { emergency } from './emergency.ts'
import { partitioning } from './partitions.ts'
import { root } from './root.ts'

/** The first root: finds, verifies and mounts the real one. The same for every board. */
export const initrd: TreeDefinition = {
  name: 'initrd',
  lockTarget: 'initrd',
  modules: [base, devices, root, partitioning, data, emergency],
}
