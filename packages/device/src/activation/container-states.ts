import { readFile } from 'node:fs/promises'
import { quadletRuntimePath } from '@atomixos/config'
import type { ContainerState } from '../apply/activator.ts'
import type { UnitFacts } from '../health/checks.ts'
import { parseUnits } from '../health/parse-facts.ts'
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
  return containers
    .map(({ unit, service, mode }) =>
      stateOf(unit.slice(0, -'.container'.length), (mode === 'rootful' ? rootful : rootless).get(service)),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1))
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
