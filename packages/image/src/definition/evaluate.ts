import { type EvaluatedGroup, type EvaluatedUser, evaluateAccounts } from './evaluate-accounts.ts'
import { type Claim, claimPaths, nestedClaims } from './evaluate-paths.ts'
import type { Problem } from './problems.ts'
import { mountUnit } from './unit-text.ts'
import type { Module, TreeDefinition, Unit } from './words.ts'

/** A definition whose modules agree with each other: what `composeTree` needs, with who said it. */
export interface Evaluated {
  readonly name: string
  readonly lockTarget: string
  /** Asked for by name, sorted. */
  readonly packages: readonly string[]
  readonly omitPackages: ReadonlyMap<string, Said>
  readonly users: ReadonlyMap<string, EvaluatedUser>
  readonly groups: ReadonlyMap<string, EvaluatedGroup>
  /** Files, folders, links, units and masks by path. */
  readonly claims: ReadonlyMap<string, Claim>
  /** Names of our own units, mounts included. */
  readonly units: ReadonlyMap<string, Said>
  readonly enable: ReadonlyMap<string, Said>
  readonly mask: ReadonlyMap<string, Said>
  readonly leaveOut: ReadonlyMap<string, Said>
  readonly keep: ReadonlyMap<string, Said>
  readonly privileged: ReadonlyMap<string, Said>
  readonly unprivileged: ReadonlyMap<string, Said>
  /** Sorted; those to load at boot among them. */
  readonly kernelModules: readonly string[]
}

/** Something a module said, and the reason if the word asks for one. */
export interface Said {
  readonly module: string
  readonly reason: string
}

export type Evaluation =
  | { readonly evaluated: Evaluated; readonly problems?: never }
  | { readonly problems: readonly Problem[]; readonly evaluated?: never }

/** Merges the modules of a definition, or tells every conflict among them. */
export function evaluate(definition: TreeDefinition): Evaluation {
  const problems: Problem[] = [...duplicateModules(definition.modules)]
  const modules = definition.modules.map(withMounts)
  const collect = (what: string, pick: (module: Module) => Iterable<readonly [string, string]>) =>
    collectSaid(modules, what, pick, problems)
  // A unit or mask that two modules declare is told as the conflict of its path.
  const collectPaths = (pick: (module: Module) => readonly (readonly [string, string])[]) =>
    collectSaid(modules, '', pick, [])
  const said = {
    omitPackages: collect('package is omitted', (m) => Object.entries(m.omitPackages ?? {})),
    units: collectPaths((m) => Object.keys(m.units ?? {}).map((name) => [name, ''])),
    enable: collect('unit is enabled', (m) => (m.enable ?? []).map((name) => [name, ''])),
    mask: collectPaths((m) => Object.entries(m.mask ?? {})),
    leaveOut: collect('pattern is left out', (m) => Object.entries(m.leaveOut ?? {})),
    keep: collect('pattern is kept', (m) => Object.entries(m.keep ?? {})),
    privileged: collect('program is privileged', (m) => Object.entries(m.privileged ?? {})),
    unprivileged: collect('program is unprivileged', (m) => Object.entries(m.unprivileged ?? {})),
  }
  const sysctls = collect('sysctl is set', (m) =>
    Object.entries(m.sysctls ?? {}).map(([key, value]) => [key, String(value)]),
  )
  const packages = new Map(modules.flatMap((m) => (m.packages ?? []).map((name) => [name, m.name] as const)))
  const loaded = modules.flatMap((m) => m.loadKernelModules ?? [])
  problems.push(
    ...contradictions('unit', 'enables', said.enable, 'masks', said.mask),
    ...contradictions('unit', 'declares', said.units, 'masks', said.mask),
    ...contradictions('program', 'privileges', said.privileged, 'unprivileges', said.unprivileged),
    ...contradictions('package', 'asks for', asSaid(packages), 'omits', said.omitPackages),
    ...missingReasons(said),
  )
  const accounts = evaluateAccounts(modules, problems)
  const claims = claimPaths([...modules, renderedModule(sysctls, loaded)], problems)
  problems.push(...nestedClaims(claims))
  if (problems.length > 0) return { problems }
  return {
    evaluated: {
      name: definition.name,
      lockTarget: definition.lockTarget,
      packages: [...packages.keys()].sort(),
      ...said,
      ...accounts,
      claims,
      kernelModules: [...new Set([...modules.flatMap((m) => m.kernelModules ?? []), ...loaded])].sort(),
    },
  }
}

/** Mounts become units of their module, enabled, so that every later rule sees only units. */
function withMounts(module: Module): Module {
  const mounts = Object.entries(module.mounts ?? {}).map(([where, mount]) => mountUnit(where, mount))
  const units: Record<string, Unit> = { ...module.units }
  for (const { name, unit } of mounts) units[name] = unit
  return { ...module, units, enable: [...(module.enable ?? []), ...mounts.map(({ name }) => name)] }
}

/** What several modules write into one file together. */
function renderedModule(sysctls: ReadonlyMap<string, Said>, loaded: readonly string[]): Module {
  const lines = [...sysctls]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { reason }]) => `${key} = ${reason}\n`)
  const names = [...new Set(loaded)].sort().map((name) => `${name}\n`)
  return {
    name: 'the sum of all modules',
    files: {
      ...(lines.length > 0 ? { '/usr/lib/sysctl.d/90-system.conf': { body: lines.join('') } } : {}),
      ...(names.length > 0 ? { '/usr/lib/modules-load.d/system.conf': { body: names.join('') } } : {}),
    },
  }
}

function collectSaid(
  modules: readonly Module[],
  what: string,
  pick: (module: Module) => Iterable<readonly [string, string]>,
  problems: Problem[],
): ReadonlyMap<string, Said> {
  const all = new Map<string, Said>()
  for (const module of modules) {
    for (const [key, reason] of pick(module)) {
      const earlier = all.get(key)
      if (earlier === undefined) all.set(key, { module: module.name, reason })
      else problems.push(both(key, `${what} by`, earlier.module, module.name))
    }
  }
  return all
}

function both(where: string, verb: string, first: string, second: string): Problem {
  return first === second
    ? { where, message: `${verb} module ${first} twice`, hint: 'keep one' }
    : { where, message: `${verb} module ${first} and by module ${second}`, hint: 'let one of them own it' }
}

function contradictions(
  kind: string,
  does: string,
  yes: ReadonlyMap<string, Said>,
  undoes: string,
  no: ReadonlyMap<string, Said>,
): Problem[] {
  return [...yes].flatMap(([key, { module }]) => {
    const other = no.get(key)
    if (other === undefined) return []
    return [
      {
        where: key,
        message: `module ${module} ${does} this ${kind} and module ${other.module} ${undoes} it`,
        hint: 'decide which of them is right',
      },
    ]
  })
}

function asSaid(owners: ReadonlyMap<string, string>): ReadonlyMap<string, Said> {
  return new Map([...owners].map(([name, module]) => [name, { module, reason: '' }]))
}

function missingReasons(said: Readonly<Record<string, ReadonlyMap<string, Said>>>): Problem[] {
  const reasoned = ['omitPackages', 'mask', 'leaveOut', 'keep', 'privileged', 'unprivileged']
  return reasoned.flatMap((word) =>
    [...said[word]!]
      .filter(([, { reason }]) => reason.trim() === '')
      .map(([where, { module }]) => ({ where, message: `module ${module} gives no reason in \`${word}\`` })),
  )
}

function duplicateModules(modules: readonly Module[]): Problem[] {
  const seen = new Set<string>()
  return modules.flatMap(({ name }) => {
    const again = seen.has(name)
    seen.add(name)
    return again ? [{ where: `module ${name}`, message: 'there are two modules of this name' }] : []
  })
}
