import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/**
 * Runs the program given as arguments; the last line of stdout tells what it cost, with all that it started:
 * `{"exitCode":0,"wallSeconds":1.5,"cpuSeconds":2.9}`. Its own output goes to stderr.
 */
const [command, ...args] = process.argv.slice(2)
const before = childrenSeconds()
const start = process.hrtime.bigint()
const { status, signal, error } = spawnSync(command!, args, { stdio: ['ignore', 2, 2] })
const wallSeconds = Number(process.hrtime.bigint() - start) / 1e9
if (error) throw error
if (signal) process.stderr.write(`killed by ${signal}\n`)
const cpuSeconds = childrenSeconds() - before
process.stdout.write(`${JSON.stringify({ exitCode: status ?? 1, wallSeconds, cpuSeconds })}\n`)

/** User and system time of all children that have ended, in proc(5)'s ticks of 10 ms. */
function childrenSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}
