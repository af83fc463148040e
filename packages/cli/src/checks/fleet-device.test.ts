/**
 * The device's own bundle as its unit starts it, in a sandbox with the device's paths and real `ssh` and `ssh-keygen`,
 * against the real server. The stories of e2e/ do the same with systemd and sshd of the image.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fleetRuntimePaths, renderFleetSettings } from '@atomixos/config'
import { type FleetServer, fingerprint, startFleetServer } from '@atomixos/fleet'
import { start } from '@atomixos/fleet/test-tools.ts'
import { bundleDevice } from '@atomixos/image/parts/device-bundle.ts'
import { silentReporter } from '@atomixos/image/reporter.ts'
import { StepRunner } from '@atomixos/image/step/step.ts'
import { openTestInputs, testWorkspace } from '@atomixos/image/tools/test-inputs.ts'
import { type Programs, treePrograms } from '@atomixos/machine'
import { afterAll, beforeAll, expect, test } from 'vitest'

const rootDir = testWorkspace().rootDir
let dir: string
let programs: Programs
let argv: string[]
let server: FleetServer | undefined

beforeAll(async () => {
  const inputs = await openTestInputs()
  const [tree, withLibraries] = [await inputs.toolTree('tools-fleet'), await inputs.toolTree('tools-machine')]
  programs = treePrograms(tree.dir)
  dir = await mkdtemp(join(tmpdir(), 'atomixos-fleet-device-'))
  const signal = new AbortController().signal
  const steps = new StepRunner({ cacheDir: join(dir, 'cache'), reporter: silentReporter, signal })
  const entryPath = join(rootDir, 'packages/device/src/main.ts')
  const bundle = await bundleDevice({ entryPath, rootDir }, { steps })
  const path = (name: string) => join(dir, name)
  for (const name of ['data/fleet', 'run', 'net/eth0', 'credentials', 'config']) {
    await mkdir(path(name), { recursive: true })
  }
  await writeFile(path('net/eth0/address'), '02:00:5e:10:00:07\n')
  await writeFile(path('os-release'), 'IMAGE_VERSION="1.2.3"\nIMAGE_ID=atomixos-rock64\n')
  await writeFile(path('passwd'), 'fleet-link:x:1000:1000::/data/fleet:/usr/sbin/nologin\n')
  const libraries = (name: string) =>
    join(
      withLibraries.dir,
      'usr/lib',
      process.arch === 'x64' ? 'x86_64-linux-gnu' : 'aarch64-linux-gnu',
      name,
    )
  argv = [
    ...programs.argv('bwrap'),
    ...['--unshare-user', '--uid', '1000', '--gid', '1000', '--unshare-pid', '--die-with-parent'],
    ...['--ro-bind', join(tree.dir, 'usr'), '/usr'],
    ...['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['libstdc++.so.6', 'libatomic.so.1'].flatMap((name) => [
      '--ro-bind',
      libraries(name),
      `/node/${name}`,
    ]),
    ...['--ro-bind', process.execPath, '/node/node'],
    ...bundle.files.flatMap((file) => ['--ro-bind', join(bundle.dir, file), `/node/${file}`]),
    ...['--ro-bind', path('passwd'), '/etc/passwd', '--ro-bind', path('os-release'), '/etc/os-release'],
    ...['--ro-bind', path('net'), '/sys/class/net', '--bind', path('data/fleet'), '/data/fleet'],
    ...['--ro-bind', path('config'), '/data/config', '--bind', path('run'), '/run/atomixos-fleet'],
    ...['--ro-bind', path('credentials'), '/credentials', '--remount-ro', '/', '--clearenv'],
    ...['--setenv', 'CREDENTIALS_DIRECTORY', '/credentials', '--setenv', 'LD_LIBRARY_PATH', '/node'],
    ...['--', '/node/node', '/node/device.js', 'fleet'],
  ]
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

test('it registers, is approved, opens its tunnel, and is shut out', { timeout: 180_000 }, async () => {
  const log: string[] = []
  server = await startFleetServer({
    ...{ programs, dir: join(dir, 'server'), host: '127.0.0.1', https: 0, tunnels: 0, heartbeatS: 10 },
    firstPort: 20_000 + Math.floor(Math.random() * 8000),
    log: (line) => log.push(line),
  })
  const { store, certificate, httpsPort } = server
  const serverUrl = `https://127.0.0.1:${httpsPort}`
  const settings = renderFleetSettings({
    serverUrl,
    authority: await readFile(certificate.authorityPath!, 'utf8'),
  })
  await writeFile(join(dir, 'credentials/settings'), settings)
  await writeFile(join(dir, 'config/fleet.json'), settings)
  await writeFile(
    join(dir, 'credentials/host-key'),
    `${await readFile(join(dir, 'server/tunnel/host_key.pub'), 'utf8')}`,
  )
  await using device = start([...argv, 'run'])
  const eventually = (what: () => unknown) => expect.poll(what, { timeout: 40_000, interval: 200 })
  await eventually(() => store.list()).toMatchObject([
    { mac: '02005e100007', state: 'pending', version: '1.2.3' },
  ])
  const { id, publicKey } = store.list()[0]!
  const status = async () => {
    await using shown = start([...argv, 'status', '--json'])
    await shown.exited
    return JSON.parse(shown.said())
  }
  await eventually(status).toMatchObject({
    ...{ enrolled: true, server_url: serverUrl, id, state: 'pending', tunnel: 'down' },
    fingerprint: fingerprint(publicKey),
  })
  store.approve(id)
  store.openSession(id, Date.now() + 120_000)
  await eventually(() => log).toContain(`tunnel of ${id} is open`)
  const trusted = join(dir, 'run', fleetRuntimePaths.userAuthority.split('/').at(-1)!)
  expect(await readFile(trusted, 'utf8')).toBe(`${server.keys.userAuthority}\n`)
  store.revoke(id)
  await eventually(() => log).toContain(`tunnel of ${id} is closed`)
  await eventually(status).toMatchObject({ state: 'revoked', tunnel: 'down' })
  await expect(readFile(trusted, 'utf8')).rejects.toThrow('ENOENT')
  expect(device.said()).toMatch(
    /^this device is pending\nthis device is approved\ntunnel to 127\.0\.0\.1 port \d+\n/,
  )
  await using shown = start([...argv, 'status'])
  await shown.exited
  expect(shown.said()).toMatch(
    /^server {7}https:.*\nkey {10}SHA256:.*\nid {11}[0-9a-f]{16}\nstate {8}revoked\n/,
  )
})

test.each<[string[], string]>([
  [['enrol'], 'say "fleet enrol URL --ca FILE"'],
  [['enrol', 'https://f.example', '--ca'], 'say "fleet enrol URL --ca FILE"'],
  [['enrol', 'http://f.example', '--ca', '/etc/passwd'], 'is no https URL'],
  [['enrol', 'https://f.example', '--ca', '/etc/passwd'], '/etc/passwd is no certificate'],
  [['enrol', 'https://f.example', '--ca', '/nothing'], "/nothing can't be read (ENOENT)"],
])('atomixctl fleet %s says what is wrong', async (words, message) => {
  await using said = start([...argv, ...words])
  expect(await said.exited).not.toBe(0)
  expect(said.said()).toContain(message)
})
