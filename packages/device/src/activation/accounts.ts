import type { DerivedUser } from '@atomixos/config/operator/index.ts'

/** An operator as an account of the system. */
export interface Operator extends DerivedUser {
  /** Of the user and of the group of the same name. */
  readonly id: number
}

/** Contents of `/etc/passwd` and its like. */
export interface AccountFiles {
  readonly passwd: string
  readonly group: string
  readonly shadow: string
  readonly gshadow: string
}

/** Ids of operators: above those of the image's accounts, below those of systemd's dynamic ones. */
export const operatorIds = { first: 2000, last: 59_999 } as const

/** Folders of operators; on /data, with what people have left there. */
export const homeFolder = '/data/home'

/** Administrators read the journal and the logs, and become root with `run0`: polkit's rule asks for `sudo`. */
const administratorGroups: ReadonlySet<string> = new Set(['adm', 'sudo', 'systemd-journal'])

const shells = { bash: '/usr/bin/bash', sh: '/usr/bin/sh', zsh: '/usr/bin/zsh' } as const

/**
 * The account files with exactly these operators in them, and whatever the image has. Nobody has a password: `*` in
 * place of one matches none, and unlike `!` does not lock the account for keys. Pure.
 */
export function withOperators(files: AccountFiles, operators: readonly Operator[]): AccountFiles {
  const former = new Set(
    linesOf(files.passwd).flatMap((line) => {
      const [name, , id] = line.split(':')
      return isOperatorId(Number(id)) ? [name!] : []
    }),
  )
  const kept = (text: string) => linesOf(text).filter((line) => !former.has(line.split(':')[0]!))
  const administrators = operators.filter(({ isAdmin }) => isAdmin).map(({ name }) => name)
  const membersOf = (group: string, members: string): string => {
    const others = members.split(',').filter((name) => name !== '' && !former.has(name))
    return [...others, ...(administratorGroups.has(group) ? administrators : [])].join(',')
  }
  const withMembers = (line: string, at: number): string => {
    const fields = line.split(':')
    fields[at] = membersOf(fields[0]!, fields[at] ?? '')
    return fields.join(':')
  }
  return {
    passwd: textOf([
      ...kept(files.passwd),
      ...operators.map(
        ({ name, id, shell }) => `${name}:x:${id}:${id}:operator:${homeFolder}/${name}:${shells[shell]}`,
      ),
    ]),
    group: textOf([
      ...kept(files.group).map((line) => withMembers(line, 3)),
      ...operators.map(({ name, id }) => `${name}:x:${id}:`),
    ]),
    shadow: textOf([...kept(files.shadow), ...operators.map(({ name }) => `${name}:*:::::::`)]),
    gshadow: textOf([
      ...kept(files.gshadow).map((line) => withMembers(line, 3)),
      ...operators.map(({ name }) => `${name}:!*::`),
    ]),
  }
}

/**
 * Gives every user an id. A folder in `/data/home` keeps its owner's id for ever: whoever comes later is never the owner
 * of what somebody else has left. Throws when there is none left. Pure.
 */
export function numberOperators(
  users: readonly DerivedUser[],
  homes: ReadonlyMap<string, number>,
): Operator[] {
  const taken = new Set(homes.values())
  let next = operatorIds.first
  return users.map((user) => {
    const own = homes.get(user.name)
    if (own !== undefined && isOperatorId(own)) return { ...user, id: own }
    while (taken.has(next)) next += 1
    if (!isOperatorId(next)) throw new Error(`no id is left for user "${user.name}"`)
    taken.add(next)
    return { ...user, id: next }
  })
}

/** An operator before and after a change, as far as it concerns sessions that are open. */
export interface Access {
  readonly isAdmin: boolean
  /** Lines of the file with their public keys. */
  readonly keys: string
}

/**
 * Whose sessions end: who is gone, is no administrator any more, or has another key. A session that was opened with
 * what holds no longer is not left open. Pure.
 */
export function lockedOut(before: ReadonlyMap<string, Access>, after: ReadonlyMap<string, Access>): string[] {
  return [...before].flatMap(([name, was]) => {
    const is = after.get(name)
    const stays = is !== undefined && (is.isAdmin || !was.isAdmin) && keyOf(is.keys) === keyOf(was.keys)
    return stays ? [] : [name]
  })
}

/** Without its comment. */
function keyOf(line: string): string {
  return line.trim().split(/\s+/).slice(0, 2).join(' ')
}

function isOperatorId(id: number): boolean {
  return id >= operatorIds.first && id <= operatorIds.last
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('')
}
