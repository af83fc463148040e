/**
 * Ten thousand devices against a stock nginx that hands out what the real command has published: real requests, real
 * signatures, a simulated clock. The devices are another process, of the device's own sources.
 */
import { type ChildProcess, execFile, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { manifestOf, signedBundle, smallPayload } from '@atomixos/image/bundle/test-bundles.ts'
import { readRaucInfo } from '@atomixos/image/bundle/verify.ts'
import { ensureDevelopmentKeys } from '@atomixos/image/keys/development.ts'
import { openTestInputs, testWorkspace } from '@atomixos/image/tools/test-inputs.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { treePrograms } from '@atomixos/machine'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ChannelSummary } from './channel-summary.ts'

const main = join(import.meta.dirname, '../main.ts')
const fleetProgram = join(import.meta.dirname, '../../../device/src/upgrade/simulated-fleet.ts')
const devices = 10_000
const canaries = 25
const minuteMs = 60_000
/** A whole round of looks, and the restart of the last one. */
const roundMinutes = 75

/** What the fleet's process tells; its sources have the words. */
interface FleetState {
  readonly looks: number
  readonly versions: Readonly<Record<string, number>>
  readonly canaryVersions: Readonly<Record<string, number>>
  readonly takenMs: readonly number[]
  readonly problems: readonly string[]
}

let tools: ToolTree
let dir: string
let feed: string
let bundle: string
let keyringPath: string
let server: Nginx
beforeAll(async () => {
  const inputs = await openTestInputs()
  tools = await inputs.toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-rollout-'))
  feed = join(dir, 'feed')
  const keys = await ensureDevelopmentKeys(tools, {
    dir: join(testWorkspace().cacheDir, 'keys', 'development'),
  })
  keyringPath = keys.keyringPath
  const payload = await smallPayload(join(dir, 'payload'))
  bundle = await signedBundle(tools, {
    ...{ payload, signer: keys.signer, outPath: join(dir, 'next.raucb') },
    manifest: manifestOf(payload, { version: '1.4.0' }),
  })
  await mkdir(feed)
  server = await startNginx((await inputs.toolTree('tools-machine')).dir, { dir, root: feed })
}, 300_000)
afterAll(async () => {
  await server?.stop()
  await rm(dir, { recursive: true, force: true })
})

test('waves of 1, 10 and 50 % hold within one point, a pause counts from the next look on, and the server is asked evenly', {
  timeout: 180_000,
}, async () => {
  const started = await publish(
    ...['publish', feed, bundle, '--canary', 'lab', '--rollout', '1%@now 10%@+90m 50%@+180m'],
  )
  const startMs = Date.parse(started.published)
  await using fleet = await startFleet()
  await fleet.order({
    ...{
      kind: 'power-up',
      nowMs: startMs,
      devices,
      canaries,
      label: 'lab',
      version: '1.3.0',
      seed: 20261201,
    },
    ...{ socketPath: server.socketPath, board: 'rock64', channel: 'stable' },
  })
  const runUntil = (minute: number) => fleet.order({ kind: 'run', untilMs: startMs + minute * minuteMs })
  const others = devices - canaries
  const percentOf = ({ versions }: FleetState) => ((versions['1.4.0'] ?? 0) * 100) / others

  // Nothing else than the first wave, and canaries at once; all within one round.
  const first = await runUntil(roundMinutes)
  expect(Math.abs(percentOf(first) - 1)).toBeLessThan(1)
  expect(percentOf(first)).toBeGreaterThan(0.5)
  expect(first.canaryVersions).toEqual({ '1.4.0': canaries })
  expect(await runUntil(90)).toMatchObject({ versions: first.versions })

  const second = await runUntil(90 + roundMinutes)
  expect(Math.abs(percentOf(second) - 10)).toBeLessThan(1)
  expect(await runUntil(180)).toMatchObject({ versions: second.versions })

  // In the middle of the third wave nobody takes it any more, at any look, and nobody is asked to come back sooner.
  const before = await runUntil(200)
  expect(percentOf(before)).toBeGreaterThan(percentOf(second) + 3)
  expect(percentOf(before)).toBeLessThan(45)
  await publish('pause', feed, '--reason', 'no LAN on some devices')
  const paused = await runUntil(200 + roundMinutes)
  expect(paused.looks - before.looks).toBeGreaterThan(devices * 0.99)
  expect(paused.versions).toEqual(before.versions)

  await publish('resume', feed)
  const end = 200 + 2 * roundMinutes
  const resumed = await runUntil(end)
  expect(Math.abs(percentOf(resumed) - 50)).toBeLessThan(1)
  expect(resumed.problems).toEqual([])

  // What the server has seen, by its own log.
  await server.stop()
  const answers = (await readFile(server.logPath, 'utf8')).trim().split('\n')
  expect(answers).toHaveLength(resumed.looks)
  const perMinute = new Array<number>(end).fill(0)
  const statuses: Record<string, number> = {}
  for (const line of answers) {
    const [minute, status] = line.split(' ')
    perMinute[Number(minute)]! += 1
    statuses[status!] = (statuses[status!] ?? 0) + 1
  }
  // Each file once for each device, whoever asks how often.
  expect(Object.keys(statuses).sort()).toEqual(['200', '304'])
  expect(statuses['200']).toBeLessThanOrEqual(devices * 3)
  expect(statuses['304']).toBeGreaterThan(devices)
  const firstRound = perMinute.slice(5, 15)
  const mean = devices / firstRound.length
  for (const count of firstRound) expect(Math.abs(count - mean) / mean).toBeLessThan(0.15)
  // Never more than in the round that the power made, waves, pause and restarts included.
  expect(Math.max(...perMinute)).toBeLessThan(mean * 1.15)
})

async function publish(...args: string[]): Promise<ChannelSummary> {
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'feed', ...args, '--json'])
  return JSON.parse(stdout) as ChannelSummary
}

interface Fleet extends AsyncDisposable {
  order(order: unknown): Promise<FleetState>
}

/** The fleet's process; what it asks about a file, RAUC answers. */
async function startFleet(): Promise<Fleet> {
  const child = fork(fleetProgram, { stdio: 'inherit' })
  const ended = once(child, 'exit')
  let settle: (state: FleetState) => void = () => {}
  child.on('message', (message: { kind: string; file?: string; state?: FleetState }) => {
    if (message.state !== undefined) settle(message.state)
    else if (message.file !== undefined) void answer(child, Buffer.from(message.file, 'base64'))
  })
  return {
    order: (order) =>
      new Promise((resolve, reject) => {
        settle = resolve
        void ended.then(() => reject(new Error('the fleet has ended')))
        child.send(order as object)
      }),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}

async function answer(child: ChildProcess, file: Buffer): Promise<void> {
  const path = join(dir, 'asked.channel')
  await writeFile(path, file)
  const said = await readRaucInfo(tools, { bundlePath: path, keyringPath })
  child.send({ info: said.accepted ? said.stdout : said.reason })
}

interface Nginx {
  readonly socketPath: string
  readonly logPath: string
  stop(): Promise<void>
}

/** As it comes, with the `location` of docs/feed.md; a socket instead of a port that somebody else may have taken. */
async function startNginx(
  treeDir: string,
  { dir: own, root }: { readonly dir: string; readonly root: string },
): Promise<Nginx> {
  const path = (name: string) => join(own, name)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const settings = [
    ...['daemon off;', 'worker_processes 2;', `pid ${path('nginx.pid')};`],
    ...(process.getuid?.() === 0 ? ['user root root;'] : []),
    ...['events { worker_connections 256; }', 'http {'],
    ...temporary.map((name) => `  ${name}_temp_path ${path(`nginx-${name}`)};`),
    "  log_format minutes '$http_x_simulated_minute $status';",
    `  access_log ${path('access.log')} minutes;`,
    `  server { listen unix:${path('nginx.sock')}; root ${root};`,
    '    location /channels/ { add_header Cache-Control no-cache; }',
    '  }',
    '}',
  ]
  await writeFile(path('nginx.conf'), `${settings.join('\n')}\n`)
  const [program, ...args] = treePrograms(treeDir).argv('nginx')
  const child = spawn(program!, [...args, '-e', path('error.log'), '-p', own, '-c', path('nginx.conf')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = once(child, 'exit')
  const socketPath = path('nginx.sock')
  while (!(await listens(socketPath))) {
    if (child.exitCode !== null) throw new Error(await readFile(path('error.log'), 'utf8'))
    await sleep(50)
  }
  return {
    ...{ socketPath, logPath: path('access.log') },
    async stop() {
      child.kill('SIGQUIT')
      await ended
    },
  }
}

function listens(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
