import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { oneLine, quadletRuntimePath } from '@atomixos/config'
import type { ContainerState } from '../apply/activator.ts'
import type { UnitFacts } from '../health/checks.ts'
import { parseUnits } from '../health/parse-facts.ts'
import { runProgram } from '../run-program.ts'
import type { Mode } from './quadlet-plan.ts'
import { parseQuadletRuntime } from './quadlets.ts'
import { runAs, systemctlOf } from './rootless.ts'

/** What the manager of that kind says of these units. No units: nothing is asked. */
export async function observeUnits(
  mode: Mode,
  names: readonly string[],
): Promise<ReadonlyMap<string, UnitFacts>> {
  if (names.length === 0) return new Map()
  const properties = '--property=Id,LoadState,ActiveState,SubState,Result,ControlGroup'
  const { stdout } = await runAs(mode, [...systemctlOf(mode), 'show', properties, '--', ...names], {
    timeoutMs: 10_000,
  })
  return parseUnits(stdout)
}

/** Every container of the configuration and how it is, by name. */
export async function containerStates(): Promise<ContainerState[]> {
  const containers = parseQuadletRuntime(await readFile(quadletRuntimePath, 'utf8')).filter(({ unit }) =>
    unit.endsWith('.container'),
  )
  const servicesOf = (mode: Mode) =>
    containers.filter((entry) => entry.mode === mode).map(({ service }) => service)
  const [rootful, rootless] = await Promise.all([
    observeUnits('rootful', servicesOf('rootful')),
    observeUnits('rootless', servicesOf('rootless')),
  ])
  const states = await Promise.all(
    containers.map(async ({ unit, service, mode }) => {
      const facts = (mode === 'rootful' ? rootful : rootless).get(service)
      const state = stateOf(unit.slice(0, -'.container'.length), facts, await programOf(facts))
      const error = facts?.activeState === 'failed' ? await lastErrorOf(mode, service) : undefined
      return error === undefined ? state : { ...state, message: `${state.message}: ${error}` }
    }),
  )
  return states.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Why podman itself could not do it: an image that no registry gave, no space left. What the container's own program said
 * stays in the journal; it may hold secrets.
 */
async function lastErrorOf(mode: Mode, service: string): Promise<string | undefined> {
  const unit = `${mode === 'rootful' ? '_SYSTEMD_UNIT' : '_SYSTEMD_USER_UNIT'}=${service}`
  // The journal may have looked at the process in the moment before it became podman.
  const podman = ['_COMM=podman', '_COMM=(podman)']
  const { stdout } = await runProgram(
    ['/usr/bin/journalctl', '--quiet', '--boot', '--output=cat', '--lines=20', ...podman, unit],
    { timeoutMs: 10_000 },
  )
  return errorIn(stdout)
}

/** It names the image three times, and the cause comes last. */
const errorCharactersMax = 600

/** The last line in which podman says what stopped it. Pure. */
export function errorIn(text: string): string | undefined {
  const last = text.split('\n').findLast((line) => line.startsWith('Error: '))
  return last && oneLine(last.slice('Error: '.length), errorCharactersMax)
}

/** What is known of the program in a container whose unit counts as active. */
export type ContainerProgram = 'runs' | 'ended' | 'unknown'

/** Podman's names of the groups below a unit's, by `--cgroups=split`: conmon's, and the container's own before its id. */
const conmonGroup = 'runtime'
const containerGroupPrefix = 'libpod-payload-'

/**
 * From the control groups of a container. podman cleans up before systemd learns that the container's program has ended,
 * which takes seconds on a busy board: until then the unit counts as active, with nothing in it that the operator wants.
 */
async function programOf(facts: UnitFacts | undefined): Promise<ContainerProgram> {
  if (facts?.activeState !== 'active' || facts.subState !== 'running' || !facts.controlGroup) return 'unknown'
  const unitGroup = join('/sys/fs/cgroup', facts.controlGroup)
  // Any of it may be gone by now.
  const groups = await readdir(unitGroup).catch(() => [])
  const events = groups
    .filter((name) => name.startsWith(containerGroupPrefix))
    .map((name) => readFile(join(unitGroup, name, 'cgroup.events'), 'utf8').catch(() => ''))
  return programIn(groups, await Promise.all(events))
}

/**
 * `events`: `cgroup.events` of each group of a container. Where conmon has no group beside it (`CgroupsMode=enabled`) nothing
 * can be told. Pure.
 */
export function programIn(groups: readonly string[], events: readonly string[]): ContainerProgram {
  if (!groups.includes(conmonGroup)) return 'unknown'
  return events.some((text) => /^populated 1$/m.test(text)) ? 'runs' : 'ended'
}

/** Pure. */
export function stateOf(
  name: string,
  facts: UnitFacts | undefined,
  program: ContainerProgram = 'unknown',
): ContainerState {
  if (facts === undefined || facts.activeState === 'not-found') {
    return { name, state: 'failed', message: 'Quadlet makes no service of it; the journal says why' }
  }
  const { activeState, subState, result } = facts
  const why = result === '' || result === 'success' ? subState : result
  switch (activeState) {
    case 'active':
      if (program === 'ended') return { name, state: 'starting', message: 'its program has ended' }
      return { name, state: 'active' }
    case 'failed':
      return { name, state: 'failed', message: why }
    case 'inactive':
      return { name, state: 'waiting' }
    default:
      return {
        name,
        state: 'starting',
        ...(subState === 'auto-restart' && { message: `ended (${why}), starts again` }),
      }
  }
}
