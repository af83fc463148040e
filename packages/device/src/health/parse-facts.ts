import type { HealthFacts, UnitFacts } from './checks.ts'

/** From `systemctl show`: one block of `Key=value` lines per unit, empty lines between them. */
export function parseUnits(text: string): Map<string, UnitFacts> {
  const units = new Map<string, UnitFacts>()
  for (const block of text.split('\n\n')) {
    const values = new Map(
      block.split('\n').map((line) => {
        const equals = line.indexOf('=')
        return [line.slice(0, equals), line.slice(equals + 1)] as const
      }),
    )
    const id = values.get('Id')
    if (!id) continue
    const found = values.get('LoadState') !== 'not-found'
    const controlGroup = values.get('ControlGroup')
    units.set(id, {
      activeState: found ? (values.get('ActiveState') ?? 'unknown') : 'not-found',
      subState: found ? (values.get('SubState') ?? '') : '',
      result: found ? (values.get('Result') ?? '') : '',
      ...(controlGroup && { controlGroup }),
    })
  }
  return units
}

/** From `nft --json list table`. */
export function parsePolicies(text: string): HealthFacts['firewall'] {
  try {
    const { nftables } = JSON.parse(text) as { nftables: { chain?: { name: string; policy?: string } }[] }
    const chains = nftables.flatMap(({ chain }) =>
      chain?.policy ? [[chain.name, chain.policy] as const] : [],
    )
    return { policies: Object.fromEntries(chains) }
  } catch {
    return { error: 'nft said something that is not its JSON' }
  }
}

/** From `ip -json -4 address`: addresses with their prefix lengths, by interface that is switched on. What is not its JSON has none. */
export function parseAddresses(text: string): HealthFacts['addresses'] {
  try {
    const links = JSON.parse(text) as {
      ifname: string
      flags: string[]
      addr_info: { local: string; prefixlen: number }[]
    }[]
    return Object.fromEntries(
      links
        .filter(({ flags }) => flags.includes('UP'))
        .map(({ ifname, addr_info }) => [
          ifname,
          addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
        ]),
    )
  } catch {
    return {}
  }
}

/**
 * Names of required containers with the units that run them. Files that are not as the configuration renders them
 * count as requiring something that cannot be found: a broken list must not pass as "nothing required".
 */
export function parseRequiredContainers(
  requiredText: string | undefined,
  runtimeText: string | undefined,
): HealthFacts['requiredContainers'] {
  if (requiredText === undefined) return []
  const names = parseJson(requiredText)
  if (!Array.isArray(names) || names.some((name) => typeof name !== 'string')) {
    const unit = 'unreadable-list-of-required-containers.service'
    return [{ name: '(unreadable list)', unit, mode: 'rootful' }]
  }
  const runtime = runtimeText === undefined ? [] : parseJson(runtimeText)
  const entries = new Map(
    (Array.isArray(runtime) ? runtime : []).flatMap(
      (entry: { unit?: unknown; service?: unknown; mode?: unknown } | null) =>
        typeof entry?.unit === 'string' && typeof entry.service === 'string'
          ? [[entry.unit, { unit: entry.service, mode: modeOf(entry.mode) }] as const]
          : [],
    ),
  )
  return (names as string[]).map((name) => ({
    name,
    ...(entries.get(`${name}.container`) ?? { unit: `${name}.service`, mode: 'rootful' }),
  }))
}

function modeOf(value: unknown): 'rootful' | 'rootless' {
  return value === 'rootless' ? 'rootless' : 'rootful'
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
