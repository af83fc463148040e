import { networkInterfaces } from 'node:os'
import {
  dataUnavailableMarkerPath,
  lanDefaults,
  parseNetworkFiles,
  quadletRuntimePath,
  requiredContainersPath,
} from '@atomixos/config'
import { observeUnits } from '../activation/container-states.ts'
import { readNetworkFiles } from '../activation/network-state.ts'
import { readDataSpace } from '../data-space.ts'
import { readOptional } from '../durable-file.ts'
import { lastLine, runProgram } from '../run-program.ts'
import {
  activationUnit,
  type CheckResult,
  evaluateHealth,
  type HealthFacts,
  watchedServices,
} from './checks.ts'
import { parseAddresses, parsePolicies, parseRequiredContainers } from './parse-facts.ts'

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
  const [units, rootlessUnits, firewall, addresses, dataProblem, dataSpace, networkFiles] = await Promise.all(
    [
      observeUnits('rootful', own),
      observeUnits('rootless', unitsOf('rootless')),
      observeFirewall(),
      observeAddresses(),
      readOptional(dataUnavailableMarkerPath),
      readDataSpace(),
      readNetworkFiles(),
    ],
  )
  return {
    units: new Map([...units, ...rootlessUnits]),
    firewall,
    addresses,
    lanGatewayCidr: parseNetworkFiles(networkFiles).settings.lan.gatewayCidr,
    requiredContainers,
    dataProblem: dataProblem?.trim(),
    // Without /data an empty read-only folder lies there, which the other check tells of.
    dataSpace: dataProblem === undefined ? dataSpace : undefined,
  }
}

async function observeFirewall(): Promise<HealthFacts['firewall']> {
  const result = await runProgram(['/usr/sbin/nft', '--json', 'list', 'table', 'inet', 'atomixos'], {
    timeoutMs,
  })
  return result.exitCode === 0 ? parsePolicies(result.stdout) : { error: lastLine(result) }
}

/**
 * Node leaves out interfaces without a carrier. A LAN whose cable is out, or whose machines are off, has its address all the
 * same, and is no reason against a release: only then a program is asked.
 */
async function observeAddresses(): Promise<HealthFacts['addresses']> {
  const listed = Object.fromEntries(
    Object.entries(networkInterfaces()).map(([name, addresses]) => [
      name,
      (addresses ?? []).flatMap(({ family, cidr }) => (family === 'IPv4' && cidr !== null ? [cidr] : [])),
    ]),
  )
  if (listed[lanDefaults.interface]?.length) return listed
  const result = await runProgram(['/usr/bin/ip', '-json', '-4', 'address'], { timeoutMs })
  return result.exitCode === 0 ? parseAddresses(result.stdout) : listed
}
