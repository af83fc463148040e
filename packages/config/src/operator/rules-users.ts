import { reservedAccounts } from './accounts.ts'
import { isTable } from './check-schema.ts'
import type { Tell } from './places.ts'
import { parseSshKey } from './ssh-key.ts'

/** Of `[users]`, however wrong the rest of it is. */
export function checkUsers(users: unknown, tell: Tell): void {
  if (!isTable(users)) return
  let admins = 0
  for (const [name, user] of Object.entries(users)) {
    if (reservedAccounts.has(name)) {
      tell(['users', name], 'the name is reserved for an account of the system', 'choose another')
    }
    if (!isTable(user)) continue
    const key = user['ssh_key']
    const isAdmin = user['isAdmin'] === true
    if (typeof key !== 'string') {
      if (key === undefined && isAdmin) {
        tell(['users', name, 'ssh_key'], 'it is missing', 'an administrator without a key cannot log in')
      }
      continue
    }
    const parsed = parseSshKey(key)
    if ('problem' in parsed) tell(['users', name, 'ssh_key'], parsed.problem, parsed.hint)
    else if (isAdmin) admins += 1
  }
  const keyed = Object.values(users).some((user) => isTable(user) && user['isAdmin'] === true)
  if (admins === 0 && !keyed) {
    tell(['users'], 'there is no administrator', 'one user at least needs isAdmin = true and an ssh_key')
  }
}
