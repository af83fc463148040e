import { expect, test } from 'vitest'
import { importProblems } from './import-direction.ts'

test('an import in the allowed direction is silent', () => {
  const files = [
    {
      path: 'packages/image/src/a.ts',
      text: "import { MiB } from '@atomixos/config'\nimport { b } from './b.ts'\n",
    },
    { path: 'system/boards.ts', text: "import type { Board } from '@atomixos/image/definition/words.ts'\n" },
  ]
  expect(importProblems(files)).toEqual([])
})

test('each wrong direction is named with what would be right', () => {
  const files = [
    { path: 'packages/machine/src/qemu.ts', text: "import { partitions } from '@atomixos/config'\n" },
    { path: 'packages/image/src/a.ts', text: "export * from '../../device/src/b.ts'\n" },
    { path: 'packages/config/src/a.ts', text: "import { readFileSync } from 'node:fs'\n" },
    { path: 'e2e/boot.ts', text: "const image = await import('@atomixos/image/tree/tree.ts')\n" },
  ]
  expect(importProblems(files)).toEqual([
    'packages/machine/src/qemu.ts imports "@atomixos/config" of packages/config, but packages/machine may import nothing of ours',
    'packages/image/src/a.ts imports "../../device/src/b.ts" of packages/device, but packages/image may import packages/config',
    'packages/config/src/a.ts imports "node:fs", but packages/config is pure',
    'e2e/boot.ts imports "@atomixos/image/tree/tree.ts" of packages/image, but e2e may import packages/machine, packages/fleet, system, packages/config',
  ])
})
