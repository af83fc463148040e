import type { Module } from '@atomixos/image/definition/words.ts'

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
