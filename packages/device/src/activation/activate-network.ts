import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type NetworkFiles,
  networkRuntimeFolder,
  type Problem,
  parseNetworkFiles,
  renderProblem,
  runtimePaths,
} from '@atomixos/config'
import { runProgram } from '../run-program.ts'
import { applyStep, describeStep } from './apply-network.ts'
import { acceptable } from './check-network.ts'
import { networkUnits, planNetwork } from './network-plan.ts'
import { readNetworkFiles, readRenderedFiles } from './network-state.ts'

/** There while a plan is being carried out. */
const unfinishedPath = join(networkRuntimeFolder, 'unfinished')

/** Files that change all the time are not run after for ever. */
const roundsMax = 5

export interface ActivationLog {
  readonly info: (line: string) => void
  readonly warn: (line: string) => void
}

/**
 * Makes networks and firewall what the configuration says; only what differs is touched. Gives the number of problems:
 * with any, something else holds than the files say.
 */
export async function activateNetwork(options: {
  readonly reload: boolean
  readonly log: ActivationLog
}): Promise<number> {
  let files = await readNetworkFiles()
  for (let round = 1; ; round += 1) {
    const problems = await activateOnce(files, options)
    // Another run may have read newer files and come to its end before this one: the newest ones have the last word.
    const now = await readNetworkFiles()
    if (JSON.stringify(now) === JSON.stringify(files) || round === roundsMax) return problems
    files = now
  }
}

async function activateOnce(
  files: NetworkFiles,
  { reload, log }: { readonly reload: boolean; readonly log: ActivationLog },
): Promise<number> {
  const parsed = parseNetworkFiles(files)
  const accepted = await acceptable(parsed.settings)
  const problems: Problem[] = [...parsed.problems, ...accepted.problems]
  for (const problem of problems) log.warn(renderProblem(problem))
  if (problems.length > 0) log.warn('safe settings hold in place of what is wrong: docs/network.md')
  for (const remark of parsed.remarks) log.warn(remark)

  const steps = planNetwork({
    current: await readRenderedFiles(),
    wanted: accepted.files,
    running: await runningUnits(),
    unfinished: await access(unfinishedPath).then(
      () => true,
      () => false,
    ),
    reload,
  })
  await mkdir(networkRuntimeFolder, { recursive: true })
  await writeFile(unfinishedPath, '')
  let failures = 0
  for (const step of steps) {
    try {
      await applyStep(step)
      log.info(describeStep(step))
    } catch (error) {
      // The other steps are worth as much without it.
      failures += 1
      log.warn((error as Error).message)
      // What is there counts as what holds; the unit looks for it when it has failed.
      if (step.step === 'loadFirewall') await rm(runtimePaths.firewall, { force: true })
    }
  }
  if (failures === 0) await rm(unfinishedPath, { force: true })
  if (steps.length === 0) log.info('networks and firewall are as the configuration says')
  return problems.length + failures
}

async function runningUnits(): Promise<Set<string>> {
  const units = Object.values(networkUnits)
  const { stdout } = await runProgram(['/usr/bin/systemctl', 'is-active', '--', ...units], {
    timeoutMs: 20_000,
  })
  const states = stdout.trim().split('\n')
  return new Set(
    units.filter((_, index) => ['active', 'activating', 'reloading'].includes(states[index] ?? '')),
  )
}
