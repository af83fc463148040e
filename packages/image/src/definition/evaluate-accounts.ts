import type { Problem } from './problems.ts'
import type { Module } from './words.ts'

export interface EvaluatedUser {
  readonly module: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
  readonly description: string
  readonly subordinateIds: number | undefined
}

export interface EvaluatedGroup {
  readonly module: string
  readonly gid: number
  /** Users that have it as a supplementary group, sorted. */
  readonly members: readonly string[]
}

export interface Accounts {
  readonly users: ReadonlyMap<string, EvaluatedUser>
  readonly groups: ReadonlyMap<string, EvaluatedGroup>
}

const subordinateIdCount = 65536

/** Users and groups of all modules, with the groups that users bring; conflicts of names and ids as problems. */
export function evaluateAccounts(modules: readonly Module[], problems: Problem[]): Accounts {
  const groups = new Map<string, { module: string; gid: number; members: string[] }>()
  const users = new Map<string, EvaluatedUser>()
  const claim = (kind: 'user' | 'group', name: string, id: number, module: string) => {
    if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(name))
      problems.push({
        where: `${kind} ${name}`,
        message: `module ${module} gives it a name that is not valid`,
      })
    if (!Number.isInteger(id) || id < 0 || id > 65534)
      problems.push({ where: `${kind} ${name}`, message: `module ${module} gives it the id ${id}` })
  }
  for (const module of modules) {
    for (const [name, { gid }] of Object.entries(module.groups ?? {})) {
      claim('group', name, gid, module.name)
      addGroup(groups, name, gid, module.name, problems)
    }
    for (const [name, user] of Object.entries(module.users ?? {})) {
      claim('user', name, user.uid, module.name)
      const earlier = users.get(name)
      if (earlier !== undefined) {
        problems.push(declaredTwice('user', name, earlier.module, module.name))
        continue
      }
      if (user.group === undefined) addGroup(groups, name, user.uid, module.name, problems)
      users.set(name, {
        module: module.name,
        uid: user.uid,
        gid: user.group === undefined ? user.uid : -1,
        home: user.home ?? '/nonexistent',
        shell: user.shell ?? '/usr/sbin/nologin',
        description: user.description ?? '',
        subordinateIds: user.subordinateIds,
      })
    }
  }
  resolveGroups(modules, users, groups, problems)
  problems.push(
    ...sharedIds('user', users, (user) => user.uid),
    ...sharedIds('group', groups, (group) => group.gid),
  )
  problems.push(...overlappingSubordinateIds(users))
  for (const group of groups.values()) group.members.sort()
  return { users, groups }
}

function addGroup(
  groups: Map<string, { module: string; gid: number; members: string[] }>,
  name: string,
  gid: number,
  module: string,
  problems: Problem[],
) {
  const earlier = groups.get(name)
  if (earlier === undefined) groups.set(name, { module, gid, members: [] })
  else problems.push(declaredTwice('group', name, earlier.module, module))
}

/** Names of groups become ids once all groups are known. */
function resolveGroups(
  modules: readonly Module[],
  users: Map<string, EvaluatedUser>,
  groups: ReadonlyMap<string, { gid: number; members: string[] }>,
  problems: Problem[],
) {
  for (const module of modules) {
    for (const [name, user] of Object.entries(module.users ?? {})) {
      const evaluated = users.get(name)!
      if (evaluated.module !== module.name) continue
      const missing = (group: string) =>
        problems.push({
          where: `user ${name}`,
          message: `module ${module.name} puts it into group ${group}, which no module declares`,
          hint: 'declare it under `groups`',
        })
      if (user.group !== undefined) {
        const group = groups.get(user.group)
        if (group === undefined) missing(user.group)
        else users.set(name, { ...evaluated, gid: group.gid })
      }
      for (const other of user.groups ?? []) {
        const group = groups.get(other)
        if (group === undefined) missing(other)
        else group.members.push(name)
      }
    }
  }
}

function sharedIds<T extends { readonly module: string }>(
  kind: string,
  accounts: ReadonlyMap<string, T>,
  idOf: (account: T) => number,
): Problem[] {
  const owners = new Map<number, string>()
  return [...accounts].flatMap(([name, account]) => {
    const id = idOf(account)
    const earlier = owners.get(id)
    if (earlier === undefined) {
      owners.set(id, name)
      return []
    }
    const first = `${kind} ${earlier} (module ${accounts.get(earlier)!.module})`
    return [
      {
        where: `${kind} ${name}`,
        message: `id ${id} of module ${account.module} is also the id of ${first}`,
        hint: 'give one of them another id',
      },
    ]
  })
}

function overlappingSubordinateIds(users: ReadonlyMap<string, EvaluatedUser>): Problem[] {
  const ranges = [...users]
    .flatMap(([name, user]) =>
      user.subordinateIds === undefined ? [] : [{ name, first: user.subordinateIds }],
    )
    .sort((a, b) => a.first - b.first)
  return ranges.slice(1).flatMap((range, index) => {
    const before = ranges[index]!
    return range.first < before.first + subordinateIdCount
      ? [{ where: `user ${range.name}`, message: `its subordinate ids overlap those of user ${before.name}` }]
      : []
  })
}

function declaredTwice(kind: string, name: string, first: string, second: string): Problem {
  return {
    where: `${kind} ${name}`,
    message: `declared by module ${first} and by module ${second}`,
    hint: 'let one of them own it',
  }
}
