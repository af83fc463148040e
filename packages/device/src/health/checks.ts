import { lanDefaults, wanInterface } from '@atomixos/config'
import { type DataSpace, isFull, renderDataSpace } from '../data-space.ts'

/** What was seen of the running system. */
export interface HealthFacts {
  /** By unit name; a unit that systemd does not know is `not-found`. */
  readonly units: ReadonlyMap<string, UnitFacts>
  /** IPv4 addresses with prefix length, by interface. */
  readonly addresses: Readonly<Record<string, readonly string[]>>
  /** The address that the LAN's interface is to have, as the configuration says. */
  readonly lanGatewayCidr: string
  /** Policies of the chains of our table by chain name, or why it cannot be listed. */
  readonly firewall: { readonly policies: Readonly<Record<string, string>> } | { readonly error: string }
  readonly requiredContainers: readonly {
    readonly name: string
    readonly unit: string
    readonly mode: 'rootful' | 'rootless'
  }[]
  /** There when /data could not be mounted. */
  readonly dataProblem: string | undefined
  /** Undefined: it cannot be asked. */
  readonly dataSpace: DataSpace | undefined
}

export interface UnitFacts {
  /** `active`, `activating`, `inactive`, `failed`... as systemd says. */
  readonly activeState: string
  readonly subState: string
  readonly result: string
  /** As in `/proc/PID/cgroup`: `/system.slice/web.service`. Where it was asked for, and the unit has one. */
  readonly controlGroup?: string
}

export interface CheckResult {
  /** Stable: baselines and events name it. */
  readonly check: string
  readonly ok: boolean
  readonly message: string
  /** A warning never keeps a slot from being confirmed. */
  readonly weight: 'required' | 'warning'
  /** How long after the start it may still be coming. */
  readonly settleMs: number
  /** Waiting will not help. */
  readonly hopeless?: boolean
}

const serviceSettleMs = 60_000
/** Starting a container may include loading its image. The contract's default of `activation.timeout_seconds`. */
const containerSettleMs = 300_000

export const watchedServices = {
  dnsmasq: 'dnsmasq.service',
  chrony: 'chrony.service',
  network: 'systemd-networkd.service',
} as const

/** Applies the configuration at the start; it does not run where there is nothing to apply. */
export const activationUnit = 'activation.service'

/** What makes a system good enough to be confirmed. Pure. */
export function evaluateHealth(facts: HealthFacts): CheckResult[] {
  return [
    data(facts),
    dataSpace(facts),
    ...Object.entries(watchedServices).map(([check, unit]) => service(check, unit, facts, serviceSettleMs)),
    activation(facts),
    lanAddress(facts),
    wanAddress(facts),
    firewall(facts),
    ...facts.requiredContainers.map(({ name, unit }) =>
      service(`container:${name}`, unit, facts, containerSettleMs),
    ),
  ]
}

function data({ dataProblem }: HealthFacts): CheckResult {
  return {
    check: 'data',
    ok: dataProblem === undefined,
    message: dataProblem === undefined ? '/data is there' : `/data is not available: ${dataProblem}`,
    weight: 'required',
    settleMs: 0,
    hopeless: true,
  }
}

/** An application that fills the disk must not roll a good system back. */
function dataSpace({ dataSpace: space }: HealthFacts): CheckResult {
  return {
    check: 'data-space',
    ok: space === undefined || !isFull(space),
    message: space === undefined ? 'how full /data is cannot be seen' : `/data: ${renderDataSpace(space)}`,
    weight: 'warning',
    settleMs: 0,
  }
}

function service(check: string, unit: string, facts: HealthFacts, settleMs: number): CheckResult {
  const { activeState, subState, result } = facts.units.get(unit) ?? {
    activeState: 'not-found',
    subState: '',
    result: '',
  }
  const ok = activeState === 'active'
  const why = result === '' || result === 'success' ? subState : result
  return {
    check,
    ok,
    message: ok ? `${unit} is active` : `${unit} is ${activeState}${why === '' ? '' : ` (${why})`}`,
    weight: 'required',
    settleMs,
    ...(activeState === 'failed' && { hopeless: true }),
  }
}

/** Networks, firewall and containers are what the configuration says, not the safe settings in place of them. */
function activation({ units }: HealthFacts): CheckResult {
  const { activeState, result } = units.get(activationUnit) ?? { activeState: 'not-found', result: '' }
  const applied = activeState === 'active' || activeState === 'inactive'
  return {
    check: 'activation',
    ok: applied,
    message: applied
      ? 'the configuration is applied'
      : `${activationUnit} is ${activeState}${result === '' || result === 'success' ? '' : ` (${result})`}: not all of the configuration holds`,
    weight: 'required',
    settleMs: serviceSettleMs,
    ...(activeState === 'failed' && { hopeless: true }),
  }
}

function lanAddress({ addresses, lanGatewayCidr: gatewayCidr }: HealthFacts): CheckResult {
  const { interface: name } = lanDefaults
  const present = addresses[name]
  const ok = present?.includes(gatewayCidr) === true
  // The list names interfaces by their addresses: one without any is not in it.
  const seen = present?.length ? `has ${present.join(', ')}` : 'has no address or is not there'
  return {
    check: 'lan-address',
    ok,
    message: ok ? `${name} has ${gatewayCidr}` : `${name} ${seen}, not ${gatewayCidr}`,
    weight: 'required',
    settleMs: serviceSettleMs,
  }
}

/** An outage of the provider must not roll a good system back. */
function wanAddress({ addresses }: HealthFacts): CheckResult {
  const present = addresses[wanInterface] ?? []
  return {
    check: 'wan-address',
    ok: present.length > 0,
    message:
      present.length > 0 ? `${wanInterface} has ${present.join(', ')}` : `${wanInterface} has no address`,
    weight: 'warning',
    settleMs: 0,
  }
}

function firewall({ firewall: seen }: HealthFacts): CheckResult {
  const open =
    'error' in seen
      ? [`the rules cannot be listed: ${seen.error}`]
      : ['input', 'forward']
          .filter((chain) => seen.policies[chain] !== 'drop')
          .map((chain) => `chain ${chain} has policy ${seen.policies[chain] ?? '(missing)'}, not drop`)
  return {
    check: 'firewall',
    ok: open.length === 0,
    message: open.length === 0 ? 'input and forward drop by default' : open.join('; '),
    weight: 'required',
    settleMs: serviceSettleMs,
  }
}
