import { execFile } from 'node:child_process'
import { FleetServerError } from './errors.ts'

/** Where `ssh-keygen`, `openssl`, `bwrap` and `sshd` come from: a tree of locked packages. */
export interface FleetPrograms {
  /** What starts a program of `usr/bin`, arguments follow. */
  argv(program: string): readonly string[]
  /** Becomes the root of what sshd sees. */
  readonly rootDir?: string
}

const timeoutMs = 60_000

/** Runs a program to its end, with an environment of its own. Throws a FleetServerError with what it said. */
export function run(programs: FleetPrograms, argv: readonly [string, ...string[]]): Promise<string> {
  const [program, ...args] = argv
  const [path, ...loader] = programs.argv(program)
  return new Promise((resolve, reject) => {
    const env = { PATH: '/usr/sbin:/usr/bin', LC_ALL: 'C.UTF-8', OPENSSL_CONF: '/dev/null' }
    execFile(path!, [...loader, ...args], { timeout: timeoutMs, env }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      const said = stderr.trim().split('\n').at(-1) || error.message
      reject(new FleetServerError(`${program} failed: ${said}`, { cause: error }))
    })
  })
}
