import { chmod, chown, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { authorizedKeysFolder, usersPath } from '@atomixos/config'
import { type DerivedUser, parseUsers } from '@atomixos/config/operator/index.ts'
import { readOptional } from '../durable-file.ts'
import { lastLine, runProgram } from '../run-program.ts'
import {
  type Access,
  type AccountFiles,
  homeFolder,
  lockedOut,
  numberOperators,
  type Operator,
  withOperators,
} from './accounts.ts'
import type { ActivationLog } from './activate-network.ts'

/** Who has access since the last activation of this start: `{ "alice": { "isAdmin": true, "keys": "..." } }`. */
const accessPath = '/run/atomixos/operators.json'

const timeoutMs = 30_000

/** Accounts become those of the configuration; who has lost access to something is out at once, open sessions included. */
export async function activateUsers({ log }: { readonly log: ActivationLog }): Promise<void> {
  const users = await readUsers()
  const before = await readAccess()
  if (users.length + before.size === 0) return
  const operators = numberOperators(users, await readHomes())
  // Keys first: whoever has an account with a key in the moment between has it in the end as well.
  await writeAccounts(operators)
  for (const operator of operators) await makeHome(operator)
  const after = await accessOf(users)
  await mkdir(dirname(accessPath), { recursive: true })
  for (const name of lockedOut(before, after)) {
    await endSessions(name, log)
    log.info(`user ${name}: sessions were ended`)
  }
  await writeFile(`${accessPath}.new`, JSON.stringify(Object.fromEntries(after)), { mode: 0o600 })
  await rename(`${accessPath}.new`, accessPath)
  log.info(`users: ${users.map(({ name }) => name).join(', ') || 'none'}`)
}

async function readUsers(): Promise<DerivedUser[]> {
  let text: string
  try {
    text = await readFile(usersPath, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  try {
    return parseUsers(text)
  } catch (error) {
    throw new Error(`${usersPath}: ${(error as Error).message}`)
  }
}

async function readAccess(): Promise<Map<string, Access>> {
  const text = await readOptional(accessPath)
  return new Map(Object.entries(text === undefined ? {} : (JSON.parse(text) as Record<string, Access>)))
}

async function accessOf(users: readonly DerivedUser[]): Promise<Map<string, Access>> {
  const entries = users.map(async ({ name, isAdmin }) => {
    const keys = (await readOptional(join(authorizedKeysFolder, name))) ?? ''
    return [name, { isAdmin, keys }] as const
  })
  return new Map(await Promise.all(entries))
}

/** Ids of those that own a folder, by name. */
async function readHomes(): Promise<Map<string, number>> {
  const names = await readdir(homeFolder).catch(() => [])
  const owners = names.map(async (name) => [name, (await lstat(join(homeFolder, name))).uid] as const)
  return new Map(await Promise.all(owners))
}

const accountPaths: Readonly<Record<keyof AccountFiles, string>> = {
  passwd: '/etc/passwd',
  group: '/etc/group',
  shadow: '/etc/shadow',
  gshadow: '/etc/gshadow',
}

async function writeAccounts(operators: readonly Operator[]): Promise<void> {
  const names = Object.keys(accountPaths) as (keyof AccountFiles)[]
  const texts = await Promise.all(names.map((name) => readFile(accountPaths[name], 'utf8')))
  const old = Object.fromEntries(names.map((name, index) => [name, texts[index]!])) as unknown as AccountFiles
  const wanted = withOperators(old, operators)
  for (const name of names) {
    if (wanted[name] === old[name]) continue
    const path = accountPaths[name]
    const { mode, uid, gid } = await stat(path)
    const unfinished = `${path}.new`
    await writeFile(unfinished, wanted[name], { mode: 0o600 })
    await chown(unfinished, uid, gid)
    await chmod(unfinished, mode & 0o7777)
    await rename(unfinished, path)
  }
}

/** The folder gets its name when it has its owner: an id that is taken is seen by that. */
async function makeHome({ name, id }: Operator): Promise<void> {
  await mkdir(homeFolder, { recursive: true, mode: 0o755 })
  const home = join(homeFolder, name)
  if ((await lstat(home).catch(() => undefined)) !== undefined) return
  const unfinished = join(homeFolder, `.${name}`)
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  await chown(unfinished, id, id)
  await rename(unfinished, home)
}

/**
 * What the user has running, and shells that `run0` gave: those run as root, in units of their own. By id: a name that is
 * gone from the accounts is nobody's.
 */
async function endSessions(name: string, log: ActivationLog): Promise<void> {
  const id = (await lstat(join(homeFolder, name)).catch(() => undefined))?.uid
  if (id === undefined) return
  const units = await elevatedUnits(id)
  if (units.length > 0) {
    const stopped = await runProgram(['/usr/bin/systemctl', 'stop', '--', ...units], { timeoutMs })
    if (stopped.exitCode !== 0) log.warn(`user ${name}: ${lastLine(stopped)}`)
  }
  // logind has a file for everybody who has a session.
  if ((await lstat(`/run/systemd/users/${id}`).catch(() => undefined)) === undefined) return
  const manager = [
    'org.freedesktop.login1',
    '/org/freedesktop/login1',
    'org.freedesktop.login1.Manager',
  ] as const
  const ended = await runProgram(['/usr/bin/busctl', 'call', ...manager, 'TerminateUser', 'u', String(id)], {
    timeoutMs,
  })
  if (ended.exitCode !== 0) log.warn(`user ${name}: ${lastLine(ended)}`)
}

/** `run0` notes in the environment of its unit who has asked for it. */
async function elevatedUnits(id: number): Promise<string[]> {
  const shown = await runProgram(
    ['/usr/bin/systemctl', 'show', '--property=Id,Environment', '--', 'run-*.service'],
    { timeoutMs },
  )
  return shown.stdout.split('\n\n').flatMap((block) => {
    const unit = /^Id=(.+)$/m.exec(block)?.[1]
    return unit !== undefined && new RegExp(`\\bSUDO_UID=${id}\\b`).test(block) ? [unit] : []
  })
}
