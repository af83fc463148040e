import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { lastLine, runProgram } from '../run-program.ts'
import type { Step, StepArguments } from './network-plan.ts'

type Executors = {
  readonly [Name in keyof StepArguments]: (step: StepArguments[Name]) => Promise<void>
}

const executors: Executors = {
  // In memory, for this start only: whole or not at all is enough.
  async write({ path, text }) {
    await mkdir(dirname(path), { recursive: true })
    const unfinished = `${path}.${process.pid}`
    await writeFile(unfinished, text, { mode: 0o644 })
    await rename(unfinished, path)
  },
  async remove({ path }) {
    await rm(path, { force: true })
  },
  loadFirewall: ({ path }) => run('/usr/sbin/nft', '--file', path),
  reloadLinks: () => run('/usr/bin/networkctl', 'reload'),
  reloadUnit: ({ unit }) => run('/usr/bin/systemctl', 'try-reload-or-restart', unit),
  restartUnit: ({ unit }) => run('/usr/bin/systemctl', 'try-restart', unit),
}

/** Takes the step; throws an Error that says what went wrong. */
export function applyStep(step: Step): Promise<void> {
  return (executors[step.step] as (step: Step) => Promise<void>)(step)
}

/** What the step did, in one line. */
export function describeStep(step: Step): string {
  switch (step.step) {
    case 'write':
      return `wrote ${step.path}`
    case 'remove':
      return `removed ${step.path}: the built-in settings hold`
    case 'loadFirewall':
      return `loaded the rules of ${step.path}`
    case 'reloadLinks':
      return `told systemd-networkd of ${step.files.map((path) => path.slice(path.lastIndexOf('/') + 1)).join(', ')}`
    case 'reloadUnit':
      return `reloaded ${step.unit}`
    case 'restartUnit':
      return `restarted ${step.unit}`
  }
}

async function run(...argv: [string, ...string[]]): Promise<void> {
  const result = await runProgram(argv, { timeoutMs: 60_000 })
  if (result.exitCode !== 0) throw new Error(`${argv.slice(0, 2).join(' ')}: ${lastLine(result)}`)
}
