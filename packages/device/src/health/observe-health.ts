import { networkInterfaces } from 'node:os'
import {
  dataUnavailableMarkerPath,
  parseNetworkFiles,
  quadletRuntimePath,
  requiredContainersPath,
} from '@atomixos/config'
import { observeUnits } from '../activation/container-states.ts'
import { readNetworkFiles } from '../activation/network-state.ts'
import { readOptional } from '../durable-file.ts'
import { lastLine, runProgram } from '../run-program.ts'
import {
  activationUnit,
  type CheckResult,
  evaluateHealth,
  type HealthFacts,
  watchedServices,
} from './checks.ts'
import { parsePolicies, parseRequiredContainers } from './parse-facts.ts'

const timeoutMs = 10_000

/** Looks at the running system once. Two or three programs, some tens of milliseconds; nothing is changed. */
export async function checkHealth(): Promise<CheckResult[]> {
  return evaluateHealth(await observeHealth())
}

async function observeHealth(): Promise<HealthFacts> {
  const requiredContainers = parseRequiredContainers(
    await readOptional(requiredContainersPath),
    await readOptional(quadletRuntimePath),
  )
  const unitsOf = (wanted: 'rootful' | 'rootless') =>
    requiredContainers.filter(({ mode }) => mode === wanted).map(({ unit }) => unit)
  const own = [...Object.values(watchedServices), activationUnit, ...unitsOf('rootful')]
  const [units, rootlessUnits, firewall, dataProblem, networkFiles] = await Promise.all([
    observeUnits('rootful', own),
    observeUnits('rootless', unitsOf('rootless')),
    observeFirewall(),
    readOptional(dataUnavailableMarkerPath),
    readNetworkFiles(),
  ])
  return {
    units: new Map([...units, ...rootlessUnits]),
    firewall,
    addresses: observeAddresses(),
    lanGatewayCidr: parseNetworkFiles(networkFiles).settings.lan.gatewayCidr,
    requiredContainers,
    dataProblem: dataProblem?.trim(),
  }
}

async function observeFirewall(): Promise<HealthFacts['firewall']> {
  const result = await runProgram(['/usr/sbin/nft', '--json', 'list', 'table', 'inet', 'atomixos'], {
    timeoutMs,
  })
  return result.exitCode === 0 ? parsePolicies(result.stdout) : { error: lastLine(result) }
}

function observeAddresses(): HealthFacts['addresses'] {
  return Object.fromEntries(
    Object.entries(networkInterfaces()).map(([name, addresses]) => [
      name,
      (addresses ?? []).flatMap(({ family, cidr }) => (family === 'IPv4' && cidr !== null ? [cidr] : [])),
    ]),
  )
}
