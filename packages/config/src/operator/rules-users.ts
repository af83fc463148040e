import { reservedAccounts } from './accounts.ts'
import { isTable } from './check-schema.ts'
import type { Tell } from './places.ts'
import { parseSshKey } from './ssh-key.ts'

/** Of `[users]`, however wrong the rest of it is. */
export function checkUsers(users: unknown, tell: Tell, warn: Tell): void {
  if (!isTable(users)) return
  const withoutKey: string[] = []
  let admins = 0
  for (const [name, user] of Object.entries(users)) {
    if (reservedAccounts.has(name)) {
      tell(['users', name], 'the name is reserved for an account of the system', 'choose another')
    }
    if (!isTable(user)) continue
    const key = user['ssh_key']
    const isAdmin = user['isAdmin'] === true
    if (isAdmin) admins += 1
    if (typeof key === 'string') {
      const parsed = parseSshKey(key)
      if ('problem' in parsed) tell(['users', name, 'ssh_key'], parsed.problem, parsed.hint)
    } else if (key === undefined && isAdmin) withoutKey.push(name)
  }
  if (admins === 0) {
    tell(['users'], 'there is no administrator', 'one user at least needs isAdmin = true and an ssh_key')
  }
  // One administrator with a key is needed, and the others are at their own risk.
  const take = admins === withoutKey.length ? tell : warn
  for (const name of withoutKey) {
    take(['users', name, 'ssh_key'], 'it is missing', 'an administrator without a key cannot log in')
  }
}
