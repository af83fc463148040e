import { readFile } from 'node:fs/promises'
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
  const properties = '--property=Id,LoadState,ActiveState,SubState,Result'
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
      const state = stateOf(unit.slice(0, -'.container'.length), facts)
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

/** Pure. */
export function stateOf(name: string, facts: UnitFacts | undefined): ContainerState {
  if (facts === undefined || facts.activeState === 'not-found') {
    return { name, state: 'failed', message: 'Quadlet makes no service of it; the journal says why' }
  }
  const { activeState, subState, result } = facts
  const why = result === '' || result === 'success' ? subState : result
  switch (activeState) {
    case 'active':
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
