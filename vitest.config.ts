import { defineConfig } from 'vitest/config'
import { storiesAtATime } from './e2e/core-stories.ts'
import { LongestFirst } from './e2e/order.ts'

export default defineConfig({
  test: {
    // Concurrent stories of one file: as many machines as the smallest host has cores.
    maxConcurrency: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/**/*.test.ts', 'system/**/*.test.ts', 'bench/**/*.test.ts', 'e2e/**/*.test.ts'],
          // Vitest would leave one core to itself, which is half of the smallest host.
          maxWorkers: '100%',
          // Real programs run in some of them, on a machine that may be busy.
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Vitest would give up polling after a second.
          expect: { poll: { timeout: 20_000 } },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.ts'],
          setupFiles: ['e2e/begin-until.ts'],
          // Each wait has a deadline and a last look of its own; this is for what hangs outside of them.
          testTimeout: 1_800_000,
          hookTimeout: 1_200_000,
          // Machines are slow and heavy: one story after the other within a file.
          fileParallelism: true,
          maxWorkers: storiesAtATime,
        },
      },
    ],
  },
})
