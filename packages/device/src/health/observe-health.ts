import { networkInterfaces } from 'node:os'
import {
  dataUnavailableMarkerPath,
  parseNetworkFiles,
  quadletRuntimePath,
  requiredContainersPath,
} from '@atomixos/config'
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
import { parsePolicies, parseRequiredContainers, parseUnits } from './parse-facts.ts'

const timeoutMs = 10_000

/** Looks at the running system once. Three programs, some tens of milliseconds; nothing is changed. */
export async function checkHealth(): Promise<CheckResult[]> {
  return evaluateHealth(await observeHealth())
}

async function observeHealth(): Promise<HealthFacts> {
  const requiredContainers = parseRequiredContainers(
    await readOptional(requiredContainersPath),
    await readOptional(quadletRuntimePath),
  )
  const unitNames = [
    ...Object.values(watchedServices),
    activationUnit,
    ...requiredContainers.map(({ unit }) => unit),
  ]
  const [units, firewall, dataProblem, networkFiles] = await Promise.all([
    observeUnits(unitNames),
    observeFirewall(),
    readOptional(dataUnavailableMarkerPath),
    readNetworkFiles(),
  ])
  return {
    units,
    firewall,
    addresses: observeAddresses(),
    lanGatewayCidr: parseNetworkFiles(networkFiles).settings.lan.gatewayCidr,
    requiredContainers,
    dataProblem: dataProblem?.trim(),
  }
}

async function observeUnits(names: readonly string[]): Promise<HealthFacts['units']> {
  const properties = '--property=Id,LoadState,ActiveState,SubState,Result'
  const { stdout } = await runProgram(['/usr/bin/systemctl', 'show', properties, '--', ...names], {
    timeoutMs,
  })
  return parseUnits(stdout)
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
