import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** The real command, as people and scripts meet it. */

const main = join(import.meta.dirname, '../main.ts')
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-config-'))
  await writeFile(join(dir, 'config.toml'), leastToml)
  await writeFile(join(dir, 'bad.toml'), leastToml.replace('required', 'requierd'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function run(args: readonly string[], input = '') {
  const child = spawn(process.execPath, [main, 'config', ...args], { cwd: dir, stdio: 'pipe' })
  child.stdin.end(input)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { exitCode: await ended, stdout, stderr }
}

describe('validate', () => {
  test('a valid file', async () => {
    expect(await run(['validate', 'config.toml'])).toEqual({
      exitCode: 0,
      stdout: 'config.toml: a device takes it\n',
      stderr: '',
    })
  })

  test('a file with problems: the lines, the place in them, what to do', async () => {
    const { exitCode, stdout, stderr } = await run(['validate', 'bad.toml'])
    expect(stderr).toBe('')
    expect(stdout).toBe(`bad.toml:5:1: activation.required: it is missing
  5 | [activation]
    | ^
  for example ["web"]

bad.toml:6:1: activation.requierd: there is no such key
  6 | requierd = ["web"]
    | ^
  did you mean "required"?

bad.toml: 2 problems
`)
    expect(exitCode).toBe(1)
  })

  test('warnings alone: a device takes it', async () => {
    const { exitCode, stdout } = await run(['validate', '-'], `${leastToml}Container.Network = "host"\n`)
    expect(exitCode).toBe(0)
    expect(
      stdout,
    ).toBe(`-:10:1: warning: containers.container.web.Container.Network: "host" is replaced by "pasta"
  10 | Container.Network = "host"
     | ^
  without privileges it is always that

-: a device takes it, 1 warning
`)
  })

  test('--json', async () => {
    const { exitCode, stdout } = await run(['validate', '-', '--json'], 'version = 1\nusers = [')
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      valid: false,
      problems: [
        { path: '', message: 'unfinished array', hint: 'it is not TOML: see toml.io', line: 2, column: 9 },
      ],
      warnings: [],
    })
  })

  test('a file does not speak to the terminal', async () => {
    const { stdout } = await run(['validate', '-'], 'version = 1 \u001b[31m\u202e\nx\u001b = 1\n')
    expect(stdout).toMatch(/^[\x20-\x7e\n]*$/)
  })

  test('bytes that are no text', async () => {
    const { exitCode, stdout } = await run(['validate', process.execPath])
    expect(exitCode).toBe(1)
    expect(stdout).toContain('it is longer than 4 MiB')
  })

  test('no file', async () => {
    expect(await run(['validate', 'nowhere.toml'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'atomixos: nowhere.toml is not there\n',
    })
  })
})

describe('render', () => {
  test('into a new folder, with modes, and not over anything', async () => {
    const rendered = await run(['render', 'config.toml', '--out', 'deep/out'])
    expect(rendered).toEqual({ exitCode: 0, stdout: '', stderr: 'deep/out has 9 files\n' })
    const out = join(dir, 'deep/out')
    expect(await readFile(join(out, 'config.toml'), 'utf8')).toBe(leastToml)
    expect((await stat(join(out, 'config.toml'))).mode & 0o777).toBe(0o600)
    expect((await stat(out)).mode & 0o777).toBe(0o755)
    expect(await readFile(join(out, 'quadlet/web.container'), 'utf8')).toContain('Network=pasta\n')
    const again = await run(['render', 'config.toml', '--out', 'deep/out'])
    expect(again).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: 'atomixos: deep/out is not empty\n  name a new folder\n',
    })
    expect(await readdir(join(dir, 'deep'))).toEqual(['out'])
  })

  test('nothing is made of a file with problems', async () => {
    const { exitCode, stdout, stderr } = await run(['render', 'bad.toml', '--out', 'none'])
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toContain('atomixos: bad.toml: 2 problems\n')
    expect(await readdir(dir)).not.toContain('none')
  })

  test('listed, printed, as JSON', async () => {
    expect((await run(['render', 'config.toml'])).stdout).toContain('0640  root:appsvc')
    expect((await run(['render', 'config.toml', '--out', '-'])).stdout).toContain(
      '# health-required.json (0644 root:root)\n["web"]\n',
    )
    const files = JSON.parse((await run(['render', 'config.toml', '--json'])).stdout)
    expect(files['health-required.json']).toEqual({ content: '["web"]\n', mode: 0o644, owner: 'root:root' })
  })
})

describe('explain', () => {
  test('a key', async () => {
    expect((await run(['explain', 'activation.settle_seconds'])).stdout).toBe(`activation.settle_seconds
  How long they then have to stay up.
  type      whole number, 0 to 300
  left out  0
`)
  })

  test('a key that there is not', async () => {
    expect(await run(['explain', 'setle_seconds'])).toEqual({
      exitCode: 2,
      stdout: '',
      stderr:
        'atomixos: config.toml has no key "setle_seconds"\n  did you mean "settle_seconds"? `./atomixos config explain settle_seconds`\n',
    })
  })

  test('all keys', async () => {
    const keys = JSON.parse((await run(['explain', '--json'])).stdout) as { key: string }[]
    expect(keys.map(({ key }) => key)).toContain('network.interfaces.<ethN>.address')
  })
})

test('lan-range', async () => {
  const lan =
    '[network.dnsmasq]\ngateway_cidr = "10.0.0.1/24"\ndhcp_start = "10.0.0.9"\ndhcp_end = "10.0.0.99"\n'
  expect((await run(['lan-range', '-'], leastToml + lan)).stdout).toBe(
    'gateway  10.0.0.1/24\nmachines 10.0.0.9 to 10.0.0.99\ndomain   local\n',
  )
  expect(JSON.parse((await run(['lan-range', 'config.toml', '--json'])).stdout)).toEqual({
    ...{
      gatewayCidr: '172.20.30.1/24',
      dhcpStart: '172.20.30.10',
      dhcpEnd: '172.20.30.254',
      domain: 'local',
    },
  })
})

test('schema', async () => {
  expect(await run(['schema', '--out', 'schema.json'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  expect(JSON.parse(await readFile(join(dir, 'schema.json'), 'utf8')).$schema).toContain('2020-12')
})
