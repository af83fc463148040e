import type { Accounts } from './evaluate-accounts.ts'
import type { Problem } from './problems.ts'

/** A line of a package's sysusers.d file: the account it expects. */
export type SysusersLine =
  | { readonly kind: 'user'; readonly name: string; readonly uid?: number; readonly group?: string | number }
  | { readonly kind: 'group'; readonly name: string; readonly gid?: number }
  | { readonly kind: 'member'; readonly user: string; readonly group: string }

/** Reads sysusers.d(5). Ranges (`r`) say nothing about accounts and are skipped. */
export function parseSysusers(text: string): readonly SysusersLine[] {
  return text.split('\n').flatMap((line): SysusersLine[] => {
    const [type, name, id = '-'] = line.trim().split(/\s+/)
    if (type === undefined || type.startsWith('#') || name === undefined) return []
    switch (type.replace(/!$/, '')) {
      case 'u': {
        const [uid, group] = id.split(':')
        return [
          {
            kind: 'user',
            name,
            ...numberAs('uid', uid),
            ...(group === undefined ? {} : { group: /^\d+$/.test(group) ? Number(group) : group }),
          },
        ]
      }
      case 'g':
        return [{ kind: 'group', name, ...numberAs('gid', id) }]
      case 'm':
        return [{ kind: 'member', user: name, group: id }]
      default:
        return []
    }
  })
}

function numberAs<Key extends string>(key: Key, text: string | undefined): { [K in Key]?: number } {
  return text !== undefined && /^\d+$/.test(text) ? ({ [key]: Number(text) } as { [K in Key]?: number }) : {}
}

/** Every account that packages expect must be ours, with an id that never changes between builds. */
export function checkSysusers(
  lines: readonly { readonly origin: string; readonly line: SysusersLine }[],
  accounts: Accounts,
): Problem[] {
  return lines.flatMap(({ origin, line }) => {
    if (line.kind === 'user') return checkUser(line, origin, accounts)
    if (line.kind === 'group') return checkGroup(line, origin, accounts)
    return checkMember(line, origin, accounts)
  })
}

type LineOf<Kind> = Extract<SysusersLine, { readonly kind: Kind }>

function checkUser(line: LineOf<'user'>, origin: string, accounts: Accounts): Problem[] {
  const user = accounts.users.get(line.name)
  if (user === undefined) return [missing('user', line.name, origin)]
  const faults: Problem[] = []
  if (line.uid !== undefined && line.uid !== user.uid)
    faults.push(otherId('user', line.name, origin, line.uid, user.module, user.uid))
  const gid = typeof line.group === 'string' ? accounts.groups.get(line.group)?.gid : line.group
  if (line.group !== undefined && gid !== user.gid)
    faults.push({
      where: `user ${line.name}`,
      message: `${origin} expects ${line.group} as its group, module ${user.module} gives it ${user.gid}`,
    })
  return faults
}

function checkGroup(line: LineOf<'group'>, origin: string, accounts: Accounts): Problem[] {
  const group = accounts.groups.get(line.name)
  if (group === undefined) return [missing('group', line.name, origin)]
  if (line.gid === undefined || line.gid === group.gid) return []
  return [otherId('group', line.name, origin, line.gid, group.module, group.gid)]
}

function checkMember(line: LineOf<'member'>, origin: string, accounts: Accounts): Problem[] {
  if (accounts.groups.get(line.group)?.members.includes(line.user) === true) return []
  const message = `${origin} expects it to be in group ${line.group}`
  return [{ where: `user ${line.user}`, message, hint: 'add the group to its `groups`' }]
}

function missing(kind: 'user' | 'group', name: string, origin: string): Problem {
  return {
    where: `${kind} ${name}`,
    message: `${origin} expects it, and no module declares it`,
    hint: `declare it under \`${kind}s\` with a fixed id: install scripts never run`,
  }
}

function otherId(kind: string, name: string, origin: string, wanted: number, module: string, given: number) {
  return {
    where: `${kind} ${name}`,
    message: `${origin} expects the id ${wanted}, module ${module} gives it ${given}`,
  }
}
