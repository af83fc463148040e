import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { containerTasksPath, quadletFolder, quadletRuntimePath } from '@atomixos/config'
import { rootlessId } from '@atomixos/config/operator/accounts.ts'
import { lastLine, type ProgramResult, runProgram } from '../run-program.ts'
import type { ActivationLog } from './activate-network.ts'
import { archiveTasks } from './image-archives.ts'
import { type Mode, planQuadlets, type Quadlet } from './quadlet-plan.ts'
import { parseQuadletRuntime, type QuadletEntry } from './quadlets.ts'
import { rootlessQuadletFolder, runAs, systemctlOf } from './rootless.ts'

/** Where Quadlet looks for units that are not part of the image; copies, so that they stay what they were started with. */
const folders: Readonly<Record<Mode, string>> = {
  rootful: '/run/containers/systemd',
  rootless: rootlessQuadletFolder,
}

/** The list of what is active, as the configuration had it. */
const activeRuntimePath = '/run/atomixos/quadlet-runtime.json'

const timeoutMs = 60_000

/**
 * Lays out the containers of the configuration, which `container-activation.service` starts. With `live`, what has
 * changed is stopped before, and that unit is started: rejects when it fails.
 */
export async function activateQuadlets({
  live,
  log,
}: {
  readonly live: boolean
  readonly log: ActivationLog
}): Promise<void> {
  const wanted = await readQuadlets(quadletRuntimePath, () => quadletFolder)
  const active = live ? await readActiveQuadlets() : []
  const plan = planQuadlets(active, wanted)
  if (live) {
    await stopServices(plan.stop, log)
    for (const { mode, name } of plan.removeNetworks) {
      const removed = await runPodman(mode, ['network', 'rm', '--force', name])
      if (removed.exitCode !== 0) log.warn(`network ${name}: ${lastLine(removed)}`)
    }
  }
  await writeQuadlets(wanted)
  const tasks = [...(await archiveTasks(wanted, log)), ...startTasks(wanted)]
  await rm(containerTasksPath, { force: true })
  if (tasks.length === 0 && !(live && plan.differs)) return
  await mkdir(dirname(containerTasksPath), { recursive: true })
  await writeFile(containerTasksPath, tasks.map((task) => `${task}\n`).join(''))
  if (!live) return
  const started = await runProgram(['/usr/bin/systemctl', 'restart', 'container-activation.service'], {
    timeoutMs: 15 * 60_000,
  })
  if (started.exitCode !== 0) {
    throw new Error('containers: container-activation.service failed; its log says why')
  }
}

/** What was activated last since the start. */
export function readActiveQuadlets(): Promise<Quadlet[]> {
  return readQuadlets(activeRuntimePath, (mode) => folders[mode])
}

async function readQuadlets(runtimePath: string, folderOf: (mode: Mode) => string): Promise<Quadlet[]> {
  const text = await readFile(runtimePath, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '[]'
    throw error
  })
  try {
    const entries = parseQuadletRuntime(text).map(async (entry) => ({
      ...entry,
      text: await readFile(join(folderOf(entry.mode), entry.unit), 'utf8'),
    }))
    return await Promise.all(entries)
  } catch (error) {
    throw new Error(`${runtimePath}: ${(error as Error).message}`)
  }
}

/** In a unit of its own: podman needs far more than what applies a configuration may. */
function runPodman(mode: Mode, args: readonly string[]): Promise<ProgramResult> {
  const manager = mode === 'rootful' ? [] : ['--user']
  return runAs(
    mode,
    ['/usr/bin/systemd-run', ...manager, '--quiet', '--wait', '--collect', '/usr/bin/podman', ...args],
    { timeoutMs },
  )
}

/** A service that is not there any more, or never came up, has nothing to stop. */
async function stopServices(entries: readonly QuadletEntry[], log: ActivationLog): Promise<void> {
  for (const mode of ['rootful', 'rootless'] as const) {
    const services = entries.filter((entry) => entry.mode === mode).map(({ service }) => service)
    if (services.length === 0) continue
    const manager = systemctlOf(mode)
    const stopped = await runAs(mode, [...manager, 'stop', '--', ...services], { timeoutMs: 5 * 60_000 })
    if (stopped.exitCode !== 0) log.warn(`stopping ${services.join(', ')}: ${lastLine(stopped)}`)
    // A service that failed may be started as often as any other by its next configuration.
    await runAs(mode, [...manager, 'reset-failed', '--', ...services], { timeoutMs })
    log.info(`stopped ${services.join(', ')}`)
  }
}

async function writeQuadlets(quadlets: readonly Quadlet[]): Promise<void> {
  for (const mode of ['rootful', 'rootless'] as const) {
    await rm(folders[mode], { recursive: true, force: true })
    const own = quadlets.filter((quadlet) => quadlet.mode === mode)
    if (own.length === 0) continue
    await mkdir(folders[mode], { recursive: true })
    for (const { unit, text } of own) {
      const path = join(folders[mode], unit)
      await writeFile(path, text, { mode: 0o600 })
      // Environments may hold passwords: only who runs it reads it.
      if (mode === 'rootless') {
        await chown(path, 0, rootlessId)
        await chmod(path, 0o640)
      }
    }
  }
  await mkdir(dirname(activeRuntimePath), { recursive: true })
  const entries = quadlets.map(({ unit, service, mode }) => ({ unit, service, mode }))
  await writeFile(`${activeRuntimePath}.new`, JSON.stringify(entries))
  await rename(`${activeRuntimePath}.new`, activeRuntimePath)
}

function startTasks(quadlets: readonly Quadlet[]): string[] {
  return quadlets
    .filter(({ unit }) => unit.endsWith('.container'))
    .map(({ mode, service }) => `start ${mode} ${service}`)
}
