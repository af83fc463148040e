import { readFileSync } from 'node:fs'
import type { Owner } from './disk.ts'

/** Ids of `user:group` as rendered files say it. Throws an Error for names that the system does not have. */
export type OwnerIds = (owner: string) => Owner

/** By the system's own files. */
export function systemOwnerIds(): OwnerIds {
  const users = parseIds(readFileSync('/etc/passwd', 'utf8'))
  const groups = parseIds(readFileSync('/etc/group', 'utf8'))
  return (owner) => {
    const [user = '', group = ''] = owner.split(':')
    const uid = users.get(user)
    const gid = groups.get(group)
    if (uid === undefined || gid === undefined) throw new Error(`the system has no account ${owner}`)
    return { uid, gid }
  }
}

/** Names with the numbers in the third field of passwd(5) and group(5). Pure. */
export function parseIds(text: string): Map<string, number> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [name, , id] = line.split(':')
      return name && id && /^[0-9]+$/.test(id) ? [[name, Number(id)] as const] : []
    }),
  )
}
