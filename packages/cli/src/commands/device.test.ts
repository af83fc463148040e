import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  configOf,
  type DeviceProcess,
  makeKey,
  openSshPrograms,
  type Ran,
  run,
  startDevice,
} from '../device/test-api.ts'

/** The real command against the device's own API. */

const main = join(import.meta.dirname, '../main.ts')
let dir: string
let bin: string
let config: string
let device: DeviceProcess
let count = 0
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'device-'))
  bin = await openSshPrograms(dir)
  config = configOf(await makeKey(bin, dir, 'alice'))
  await makeKey(bin, dir, 'mallory')
  await writeFile(join(dir, 'config.toml'), config)
})
afterAll(() => rm(dir, { recursive: true, force: true }))
beforeEach(async () => {
  count += 1
  device = await startDevice({ folder: join(dir, `device-${count}`), bin })
})
afterEach(() => device[Symbol.asyncDispose]())

function command(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const host = `127.0.0.1:${device.port}`
  return run([process.execPath, main, 'device', ...args, '--host', host], {
    cwd: dir,
    env: { PATH: `${bin}:${process.env['PATH']}`, HOME: dir, ...env },
  })
}

const applyFirst = async () => expect((await command(['apply', 'config.toml'])).exitCode).toBe(0)
const asAlice = ['--key', 'alice']

describe('apply', () => {
  test('the first configuration, without a key; then others, with one', async () => {
    const first = await command(['apply', 'config.toml'])
    expect(first).toMatchObject({
      exitCode: 0,
      stdout: 'the configuration is active, at http://127.0.0.1:8080\n',
    })
    expect(first.stderr).toMatch(/✓ send config.toml/)
    expect(await readFile(join(device.configFolder, 'config.toml'), 'utf8')).toBe(config)
    const again = await command(['apply', 'config.toml', '--json', ...asAlice])
    expect(again.exitCode).toBe(0)
    expect(JSON.parse(again.stdout)).toMatchObject({ state: 'succeeded', source: 'api' })
  })

  test('a folder is made a bundle', async () => {
    await mkdir(join(dir, 'site/files/web'), { recursive: true })
    await writeFile(join(dir, 'site/config.toml'), config)
    await writeFile(join(dir, 'site/files/web/index.html'), 'hello')
    // The test's device takes no bundles; that it is told what it was sent is enough here.
    const { exitCode, stderr } = await command(['apply', 'site'])
    expect([exitCode, stderr]).toEqual([
      1,
      expect.stringContaining('the device refuses: the configuration has a problem'),
    ])
    await symlink('/etc/passwd', join(dir, 'site/files/link'))
    expect((await command(['apply', 'site'])).stderr).toContain('neither a file nor a folder')
  })

  test('a file with problems is not even sent', async () => {
    await writeFile(join(dir, 'bad.toml'), config.replace('required', 'requierd'))
    const { exitCode, stderr } = await command(['apply', 'bad.toml'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('6 | requierd = ["web"]')
    expect(stderr).toContain('bad.toml: 2 problems. Nothing was sent.')
  })

  test('a failure on the device is told, and what became of it', async () => {
    device.course('fail')
    const { exitCode, stdout } = await command(['apply', 'config.toml'])
    expect([exitCode, stdout]).toEqual([
      1,
      'the configuration was not applied: the container web did not start: no such image; see journalctl -u web\n' +
        'what had been changed was taken back: the device is as it was before\n',
    ])
  })

  test('a change that waits is confirmed by --yes, or later', async () => {
    await applyFirst()
    const kept = await command(['apply', 'config.toml', '--confirm', '60', '--yes', ...asAlice])
    expect(kept).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('the configuration is active'),
    })
    const waits = await command(['apply', 'config.toml', '--confirm', '60', ...asAlice])
    expect(waits).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('unless somebody confirms it'),
    })
    expect((await command(['status', ...asAlice])).stdout).toMatch(
      /job {9}[0-9a-f]{16}, waiting-for-confirmation/,
    )
    expect((await command(['confirm', ...asAlice])).stdout).toContain('the configuration is active')
    expect(await command(['confirm', ...asAlice])).toMatchObject({
      exitCode: 1,
      stderr: 'atomixos: nothing waits for a confirmation\n',
    })
  })

  test("a key that is no administrator's", async () => {
    await applyFirst()
    const { exitCode, stderr } = await command(['apply', 'config.toml', '--key', 'mallory'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain("does not take the signature: the signature is not by an administrator's key")
    expect(stderr).toContain('signed with mallory; name an administrator')
  })

  test('keys of the agent are tried one after the other', async () => {
    await applyFirst()
    const socket = join(dir, `agent-${count}`)
    const agent = await run([join(bin, 'ssh-agent'), '-a', socket])
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(agent.stdout)![1])
    try {
      const env = { SSH_AUTH_SOCK: socket }
      for (const key of ['mallory', 'alice']) {
        expect((await run([join(bin, 'ssh-add'), '-q', join(dir, key)], { env })).exitCode).toBe(0)
      }
      expect(await command(['status'], env)).toMatchObject({
        exitCode: 0,
        stdout: 'version     1.2.3\nconfigured  yes\njob         none\n',
      })
    } finally {
      process.kill(pid)
    }
  })

  test('no key at all', async () => {
    await applyFirst()
    expect(await command(['logs'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('there is no key to sign with'),
    })
  })
})

test('status before the first configuration, and logs after it', async () => {
  expect(JSON.parse((await command(['status', '--json'])).stdout)).toMatchObject({ provisioned: false })
  await applyFirst()
  const event = {
    seq: 1,
    time: '2026-01-01T00:00:00.000Z',
    bootId: 'x',
    slot: 'A',
    event: 'boot',
    version: '1.2.3',
  }
  await writeFile(join(dir, `device-${count}/events.jsonl`), `${JSON.stringify(event)}\n`)
  expect((await command(['logs', ...asAlice])).stdout).toBe('2026-01-01T00:00:00.000Z  boot slot A 1.2.3\n')
})

describe('report', () => {
  const archive = gzipSync(Buffer.from('what the device tells of itself'.repeat(50_000)), { level: 0 })
  const make = (bytes: Uint8Array) => writeFile(join(dir, `device-${count}/report.tar.gz`), bytes)
  const inDir = async () => (await readdir(dir)).filter((name) => /report|\.part-/.test(name))
  beforeEach(async () => {
    for (const name of await inDir()) await rm(join(dir, name))
    await applyFirst()
  })

  test('is a file with a name of device and time, for its owner alone', async () => {
    await make(archive)
    const { exitCode, stdout, stderr } = await command(['report', ...asAlice])
    expect(exitCode, stderr).toBe(0)
    const [name, ...others] = await inDir()
    expect(others).toEqual([])
    expect(name).toMatch(new RegExp(`^report-127\\.0\\.0\\.1-${device.port}-\\d{8}T\\d{6}Z\\.tar\\.gz$`))
    expect((await readFile(join(dir, name!))).equals(archive)).toBe(true)
    expect((await stat(join(dir, name!))).mode & 0o777).toBe(0o600)
    expect(stdout).toBe(`${name} has the report: 1.6 MB. left-out.txt in it says what it does not have.\n`)
    expect(stderr).toMatch(/✓ the device collects[\s\S]*✓ receiving/)
  })

  test('replaces nothing without --force; says what it has done in JSON', async () => {
    await make(archive)
    await writeFile(join(dir, 'my-report'), 'mine')
    const to = ['--output', 'my-report', ...asAlice]
    expect(await command(['report', ...to])).toMatchObject({
      exitCode: 2,
      stdout: '',
      stderr: expect.stringContaining('my-report is there already, and was left alone'),
    })
    expect(await readFile(join(dir, 'my-report'), 'utf8')).toBe('mine')
    const forced = await command(['report', ...to, '--force', '--json'])
    expect(forced.exitCode, forced.stderr).toBe(0)
    expect(JSON.parse(forced.stdout)).toEqual({
      file: 'my-report',
      sizeBytes: archive.length,
      sha256: createHash('sha256').update(archive).digest('hex'),
    })
    expect((await readFile(join(dir, 'my-report'))).equals(archive)).toBe(true)
  })

  test('that has no end, or does not come at all, leaves no file', async () => {
    await make(archive.subarray(0, 1_000_000))
    expect(await command(['report', ...asAlice])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('what the device sent is no whole archive: unexpected end of file'),
    })
    await rm(join(dir, `device-${count}/report.tar.gz`))
    expect(await command(['report', ...asAlice])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('the device refuses: the report could not be made'),
    })
    expect(await command(['report', '--key', 'mallory'])).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('does not take the signature'),
    })
    expect(await inDir()).toEqual([])
  })

  test('is made one at a time, and gone after Ctrl-C, on the device as well', {
    timeout: 180_000,
  }, async () => {
    // A pipe that nobody writes into any more: the report never ends.
    const path = join(dir, `device-${count}/report.tar.gz`)
    expect((await run(['mkfifo', path])).exitCode).toBe(0)
    const child = spawn(
      process.execPath,
      [main, 'device', 'report', ...asAlice, '--host', `127.0.0.1:${device.port}`],
      {
        cwd: dir,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH: `${bin}:${process.env['PATH']}`, HOME: dir },
      },
    )
    const said = text(child.stderr)
    const ended = once(child, 'close')
    const source = await open(path, 'w')
    try {
      await source.write(archive.subarray(0, 500_000))
      const size = async () => {
        const [name] = await inDir()
        return name === undefined ? 0 : (await stat(join(dir, name))).size
      }
      for (const until = Date.now() + 30_000; (await size()) < 100_000 && Date.now() < until; )
        await pause(50)
      expect(await size()).toBeGreaterThanOrEqual(100_000)
      expect(await command(['report', ...asAlice])).toMatchObject({
        exitCode: 1,
        stderr: expect.stringContaining('the device refuses: another report is being made'),
      })
      child.kill('SIGINT')
      expect(await ended).toEqual([130, null])
    } finally {
      child.kill('SIGKILL')
      await source.close()
    }
    expect(await said).toContain('interrupted')
    expect(await inDir()).toEqual([])
    await rm(path)
    await make(archive)
    expect(await command(['report', ...asAlice, '--output', 'report-next'])).toMatchObject({ exitCode: 0 })
  })
})

test('nobody there; an address that is none', async () => {
  const { port } = device
  await device[Symbol.asyncDispose]()
  const none = await command(['status'])
  expect(none).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining(`127.0.0.1:${port} does not answer`),
  })
  device = await startDevice({ folder: join(dir, `again-${count}`), bin })
  const wrong = await run([process.execPath, main, 'device', 'status', '--host', 'https://x/y'])
  expect(wrong).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('is not the address of a device'),
  })
})
