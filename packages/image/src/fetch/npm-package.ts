import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../errors.ts'
import type { LockedNpmPackage } from '../lock/lock.ts'
import type { Reporter } from '../reporter.ts'

/**
 * The tarball of a locked npm package below `downloads/`, fetched by the host's npm when missing: which registry,
 * which proxy and which credentials is npm's configuration, not ours. Verified against the locked integrity.
 */
export async function fetchNpmPackage(
  locked: LockedNpmPackage,
  options: { cacheDir: string; rootDir: string; reporter: Reporter; signal: AbortSignal },
): Promise<string> {
  const dir = join(options.cacheDir, 'downloads')
  const path = join(dir, `npm-${createHash('sha256').update(locked.integrity).digest('hex')}`)
  if (existsSync(path)) return path
  const spec = `${locked.name}@${locked.version}`
  const task = options.reporter.task(`fetch ${spec}`)
  const scratch = join(dir, `.npm-${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(scratch, { recursive: true })
    await runNpm(['pack', spec, '--pack-destination', scratch, '--loglevel=error'], spec, options)
    const [name] = await readdir(scratch)
    if (name === undefined) throw new UserError(`npm pack ${spec} made no file`)
    const [algorithm, expected] = splitIntegrity(locked)
    const actual = createHash(algorithm)
      .update(await readFile(join(scratch, name)))
      .digest('base64')
    if (actual !== expected) {
      throw new UserError(`${spec} is not what was locked: its ${algorithm} differs`, {
        hint: 'the npm registry or something on the way to it gives another file; check `npm config get registry`',
      })
    }
    await rename(join(scratch, name), path)
    task.done()
    return path
  } catch (error) {
    task.failed()
    throw error
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function splitIntegrity(locked: LockedNpmPackage): ['sha512' | 'sha256', string] {
  const match = /^(sha512|sha256)-([A-Za-z0-9+/=]+)$/.exec(locked.integrity)
  if (match === null)
    throw new UserError(`the lock has no usable integrity for ${locked.name}: ${locked.integrity}`)
  return [match[1] as 'sha512', match[2]!]
}

/** In the checkout, so that its .npmrc and the user's apply; npm is the one program of the host besides Node. */
function runNpm(
  args: string[],
  spec: string,
  options: { rootDir: string; signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', args, {
      cwd: options.rootDir,
      stdio: ['ignore', 'ignore', 'pipe'],
      signal: options.signal,
      timeout: 10 * 60_000,
    })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000)
    })
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (options.signal.aborted) reject(options.signal.reason)
      else if (error.code === 'ENOENT') {
        reject(
          new UserError(`npm was not found; it is needed to fetch ${spec}`, {
            hint: 'install Node with npm',
          }),
        )
      } else reject(error)
    })
    child.on('close', (code) => {
      if (code === 0) resolve()
      else {
        const lines = output.trim().split('\n').slice(-8).join('\n')
        const hint = 'check the connection and `npm config get registry`, then run the command again'
        reject(new UserError(`npm could not fetch ${spec} (exit code ${code}):\n${lines}`, { hint }))
      }
    })
  })
}
