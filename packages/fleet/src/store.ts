/**
 * What the server remembers, in one SQLite file. The command line and the running server work on it at the same time;
 * each change is one transaction. Tokens are kept as their SHA-256: who reads the file can't speak for a device.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { DeviceState, Heartbeat, Registration } from '@atomixos/config'
import { FleetServerError } from './errors.ts'

export interface Device {
  readonly id: string
  readonly mac: string
  readonly publicKey: string
  readonly hostKey: string
  readonly version: string
  readonly state: DeviceState
  readonly createdMs: number
  readonly seenMs: number
  readonly tunnel: 'up' | 'down'
  /** On the server's loopback address; given with the approval. */
  readonly port: number | undefined
  /** A tunnel is wanted until then. */
  readonly sessionUntilMs: number
}

export interface StoreOptions {
  /** First of the ports for tunnels. */
  readonly firstPort?: number
}

/** What anybody may leave behind without an operator: a flood of registrations fills no disk. */
export const pendingLimits = { total: 1000, perMac: 3, keptMs: 7 * 86_400_000 } as const

const portDefault = 20_000
const portCount = 10_000

const schema = `
  CREATE TABLE IF NOT EXISTS devices (
    id TEXT PRIMARY KEY,
    mac TEXT NOT NULL,
    token_hash BLOB NOT NULL,
    public_key TEXT NOT NULL UNIQUE,
    host_key TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'revoked')),
    created_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    tunnel TEXT NOT NULL DEFAULT 'down',
    port INTEGER UNIQUE,
    session_until_ms INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE INDEX IF NOT EXISTS devices_mac ON devices (mac);
  CREATE TABLE IF NOT EXISTS certificates (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    device TEXT NOT NULL,
    principal TEXT NOT NULL,
    issued_ms INTEGER NOT NULL,
    valid_until_ms INTEGER NOT NULL
  ) STRICT;
`

const schemaVersion = 1

interface Row {
  readonly id: string
  readonly mac: string
  readonly token_hash: Uint8Array
  readonly public_key: string
  readonly host_key: string
  readonly version: string
  readonly state: DeviceState
  readonly created_ms: number
  readonly seen_ms: number
  readonly tunnel: 'up' | 'down'
  readonly port: number | null
  readonly session_until_ms: number
}

export class Store implements Disposable {
  readonly #database: DatabaseSync
  readonly #firstPort: number

  constructor(dir: string, options: StoreOptions = {}) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const path = join(dir, 'fleet.db')
    this.#firstPort = options.firstPort ?? portDefault
    this.#database = new DatabaseSync(path, { timeout: 10_000 })
    try {
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
      const { user_version: found } = this.#database.prepare('PRAGMA user_version').get() as {
        user_version: number
      }
      if (found > schemaVersion) {
        throw new FleetServerError(`${path} was written by a newer version`, {
          hint: 'use the newer checkout, or another --dir',
        })
      }
      this.#database.exec(`${schema}; PRAGMA user_version = ${schemaVersion}`)
    } catch (error) {
      this.#database.close()
      if (error instanceof FleetServerError) throw error
      throw new FleetServerError(`${path} can't be used: ${(error as Error).message}`, { cause: error })
    }
  }

  /** undefined: refused, since the key belongs to somebody else, or there are too many that nobody has approved. */
  register(registration: Registration, nowMs: number): Device | 'conflict' | 'too-many' {
    const { mac, token, publicKey, hostKey, version } = registration
    return this.#transaction(() => {
      const known = this.#row('SELECT * FROM devices WHERE public_key = ?', publicKey)
      if (known !== undefined) {
        return known.mac === mac && isTokenOf(known, token) ? deviceOf(known) : 'conflict'
      }
      this.#run("DELETE FROM devices WHERE state = 'pending' AND seen_ms < ?", nowMs - pendingLimits.keptMs)
      const count = (where: string, ...values: string[]) =>
        (
          this.#database
            .prepare(`SELECT count(*) AS n FROM devices WHERE state = 'pending' ${where}`)
            .get(...values) as { n: number }
        ).n
      if (count('') >= pendingLimits.total || count('AND mac = ?', mac) >= pendingLimits.perMac) {
        return 'too-many'
      }
      const id = randomBytes(8).toString('hex')
      this.#run(
        `INSERT INTO devices (id, mac, token_hash, public_key, host_key, version, state, created_ms, seen_ms)
         VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?)`,
        ...[id, mac, hashOf(token), publicKey, hostKey, version, nowMs, nowMs],
      )
      return this.get(id)!
    })
  }

  /** The device as it is then; undefined when there is none with that id and token. */
  heartbeat(id: string, token: string, heartbeat: Heartbeat, nowMs: number): Device | undefined {
    return this.#transaction(() => {
      const row = this.#row('SELECT * FROM devices WHERE id = ?', id)
      if (row === undefined || !isTokenOf(row, token)) return undefined
      // What an operator has approved includes the key that sessions know the device by.
      const hostKey = row.state === 'pending' ? heartbeat.hostKey : row.host_key
      this.#run(
        'UPDATE devices SET seen_ms = ?, version = ?, tunnel = ?, host_key = ? WHERE id = ?',
        ...[nowMs, heartbeat.version, heartbeat.tunnel, hostKey, id],
      )
      return this.get(id)
    })
  }

  get(id: string): Device | undefined {
    const row = this.#row('SELECT * FROM devices WHERE id = ?', id)
    return row && deviceOf(row)
  }

  list(): Device[] {
    const rows = this.#database
      .prepare('SELECT * FROM devices ORDER BY mac, created_ms, id')
      .all() as unknown as Row[]
    return rows.map(deviceOf)
  }

  /** By id, or by a MAC that only one device has, revoked ones aside. Throws a FleetServerError. */
  find(name: string): Device {
    const plain = name.toLowerCase().replaceAll(/[:-]/g, '')
    const byId = this.get(plain)
    if (byId !== undefined) return byId
    const all = this.list().filter(({ mac }) => mac === plain)
    const current = all.filter(({ state }) => state !== 'revoked')
    const found = current.length > 0 ? current : all
    if (found.length === 1) return found[0]!
    if (found.length === 0) {
      throw new FleetServerError(`there is no device "${name}"`, {
        hint: '`./atomixos fleet devices` lists them by MAC and id',
      })
    }
    throw new FleetServerError(`${found.length} devices say that they have the MAC ${name}`, {
      hint: 'compare the fingerprints with what `atomixctl fleet status` shows on the device, and name it by its id',
    })
  }

  approve(id: string): Device {
    return this.#transaction(() => {
      const device = this.#require(id)
      if (device.state === 'approved') return device
      const other = this.list().find(({ mac, state }) => mac === device.mac && state === 'approved')
      if (other !== undefined) {
        throw new FleetServerError(`the device ${other.id} is approved with the same MAC`, {
          hint: `revoke it first, if this one took its place: ./atomixos fleet revoke ${other.id}`,
        })
      }
      this.#run(
        "UPDATE devices SET state = 'approved', port = ?, session_until_ms = 0 WHERE id = ?",
        ...[this.#freePort(), id],
      )
      return this.get(id)!
    })
  }

  /** For good: the device would have to enrol anew. */
  revoke(id: string): Device {
    return this.#transaction(() => {
      this.#require(id)
      this.#run("UPDATE devices SET state = 'revoked', port = NULL, session_until_ms = 0 WHERE id = ?", id)
      return this.get(id)!
    })
  }

  /** Takes it out of the inventory. Only what is not approved. */
  forget(id: string): void {
    this.#transaction(() => {
      if (this.#require(id).state === 'approved') {
        throw new FleetServerError('an approved device is not forgotten', {
          hint: `revoke it first: ./atomixos fleet revoke ${id}`,
        })
      }
      this.#run('DELETE FROM devices WHERE id = ?', id)
    })
  }

  /** Asks the device for a tunnel until then, at least. Throws a FleetServerError when it is not approved. */
  openSession(id: string, untilMs: number): Device {
    return this.#transaction(() => {
      const device = this.#require(id)
      if (device.state !== 'approved') {
        throw new FleetServerError(`the device ${id} is ${device.state}`, {
          hint:
            device.state === 'pending'
              ? `approve it: ./atomixos fleet approve ${id}`
              : 'a revoked device has to enrol anew',
        })
      }
      this.#run(
        'UPDATE devices SET session_until_ms = max(session_until_ms, ?) WHERE id = ?',
        ...[untilMs, id],
      )
      return this.get(id)!
    })
  }

  /** Devices whose keys the tunnel's door knows at that time. */
  wanted(nowMs: number): Device[] {
    const rows = this.#database
      .prepare("SELECT * FROM devices WHERE state = 'approved' AND session_until_ms > ? ORDER BY id")
      .all(nowMs) as unknown as Row[]
    return rows.map(deviceOf)
  }

  /** Writes down that a certificate is made, and gives its number. */
  noteCertificate(
    device: string,
    principal: string,
    times: { readonly nowMs: number; readonly untilMs: number },
  ): number {
    const { lastInsertRowid } = this.#database
      .prepare('INSERT INTO certificates (device, principal, issued_ms, valid_until_ms) VALUES (?, ?, ?, ?)')
      .run(device, principal, times.nowMs, times.untilMs)
    return Number(lastInsertRowid)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  #require(id: string): Device {
    const device = this.get(id)
    if (device === undefined) throw new FleetServerError(`there is no device "${id}"`)
    return device
  }

  #freePort(): number {
    const taken = new Set(this.list().map(({ port }) => port))
    for (let port = this.#firstPort; port < this.#firstPort + portCount; port++) {
      if (!taken.has(port)) return port
    }
    throw new FleetServerError(`all ${portCount} ports for tunnels are taken`, {
      hint: 'revoke devices that are gone',
    })
  }

  #row(sql: string, value: string): Row | undefined {
    return this.#database.prepare(sql).get(value) as unknown as Row | undefined
  }

  #run(sql: string, ...values: (string | number | Uint8Array)[]): void {
    this.#database.prepare(sql).run(...values)
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = work()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }
}

function deviceOf(row: Row): Device {
  return {
    ...{ id: row.id, mac: row.mac, publicKey: row.public_key, hostKey: row.host_key },
    ...{ version: row.version, state: row.state, createdMs: row.created_ms, seenMs: row.seen_ms },
    ...{ tunnel: row.tunnel, port: row.port ?? undefined, sessionUntilMs: row.session_until_ms },
  }
}

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function isTokenOf(row: Row, token: string): boolean {
  return timingSafeEqual(hashOf(token), row.token_hash)
}
