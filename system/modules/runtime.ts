import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * For programs that make a bundle of a delta: memory that was given back goes to the system at once. The C library
 * otherwise keeps what compressors on several threads had, 209 instead of 136 MiB at most (`bench update --device`).
 */
export const leanMemory = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '65536',
} as const

export const leanMemoryEnvironment = Object.entries(leanMemory)
  .map(([name, value]) => `${name}=${value}`)
  .join(' ')

/**
 * The Node runtime and the device's programs are built parts: `/usr/lib/atomixos/node` and
 * `/usr/lib/atomixos/device.js`. This is how people call them.
 */
export const runtime: Module = {
  name: 'runtime',
  packages: ['libstdc++6', 'libatomic1', 'libgcc-s1'],
  files: {
    '/usr/bin/atomixctl': {
      mode: 0o755,
      body: '#!/bin/sh\nexec /usr/lib/atomixos/node /usr/lib/atomixos/device.js "$@"\n',
    },
  },
}
