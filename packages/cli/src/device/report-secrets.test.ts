/**
 * The device's own `report`, as root of a small system of this machine's programs, in which secrets were put wherever a
 * device has some, and into the mouth of every program that could say one: none of them is in the archive.
 */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { openTestInputs, type TestInputs } from '@atomixos/image/kernel/test-inputs.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './test-api.ts'

const rootDir = join(import.meta.dirname, '../../../..')

/** Each is one word that nothing else has. */
const secrets = new Map<string, string>()
function secret(name: string): string {
  const word = `Zq${secrets.size}x${name.replaceAll(/[^a-z]/g, '')}7Kfp2`
  secrets.set(name, word)
  return word
}

const privateKey = (name: string) =>
  `-----BEGIN OPENSSH PRIVATE KEY-----\n${secret(name)}\n-----END OPENSSH PRIVATE KEY-----\n`

/** Where a device has them. */
const planted: Readonly<Record<string, string>> = {
  'data/config/config.toml': `[containers.container.app]\nContainer.Environment = "DB=${secret('environment of a container')}"\n`,
  'data/config/files/app.env': `X=${secret('file of an application')}\n`,
  'data/config/quadlet/app.container': `[Container]\nEnvironment=DB=${secret('quadlet')}\n`,
  'data/ssh/ssh_host_ed25519_key': privateKey('host key'),
  'data/identity/fleet-key': privateKey('identity'),
  'data/identity/claim-code': `${secret('claim code')}\n`,
  'data/update/server-ca.key': privateKey('authority'),
  'data/vpn/client.ovpn': `<auth-user-pass>\nme\n${secret('vpn login')}\n</auth-user-pass>\n`,
  'data/wifi/wpa_supplicant.conf': `psk="${secret('wifi file')}"\n`,
  'data/containers/storage/secrets/secretsdata.json': `{"a":"${secret('podman secret')}"}`,
  'etc/shadow': `alice:$y$j9T$${secret('shadow')}$abcdefgh:1::::::\n`,
  'run/atomixos/claim-code': secret('claim code in memory'),
  'data/logs/rauc.log': `GET https://me:${secret('login in an address')}@updates.example/x?sig=${secret('signed address')}\n`,
  'data/logs/events.jsonl': `{"seq":1,"event":"boot","reason":"api_token=${secret('token in an event')}"}\n`,
  'data/logs/system/system.log': [
    `app[7]: Authorization: Bearer ${secret('bearer token')}`,
    `app[7]: login root:$6$salt$${secret('password hash')}abc:1`,
    `podman[9]: podman run --env "DB=${secret('environment option')} x" -e Y=${secret('short option')} image`,
    `wpa[1]: psk=${secret('wifi key')} wpa_passphrase: ${secret('wifi passphrase')}`,
    `wg[1]: PrivateKey = ${secret('wireguard')} PresharedKey = ${secret('preshared')}`,
    `openvpn[2]: <tls-crypt>\n${secret('tls crypt')}\n</tls-crypt>`,
    `git[3]: clone with ghp_${secret('forge token')}abcdefghij`,
    `jwt eyJhbGciOiJIUzI1.${secret('web token')}.c2lnbmF0dXJl`,
    `db --db-password ${secret('option with a space')} --port 1`,
    privateKey('key in a log'),
  ].join('\n'),
}

/** What only a device has, saying what it must not. */
const stubs: Readonly<Record<string, string>> = {
  'bin/journalctl': `curl: X-Api-Token: ${secret('header in the journal')}\nSet-Cookie: id=${secret('cookie')}`,
  'bin/systemctl': `app.service CGroup: podman run -e PASS=${secret('process of a unit')} image\nEnvironment=A=${secret('unit')}`,
  'bin/podman': `app localhost/app:1 Up; client_secret=${secret('podman')}`,
  'bin/rauc': `bundle https://x:${secret('rauc')}@h/b.raucb`,
  'bin/atomixctl': `{"server_password": "${secret('status')}"}`,
  'bin/fw_printenv': `wifi_psk=${secret('boot environment')}`,
  'bin/networkctl': `WPA passphrase: ${secret('networkctl')}`,
  'bin/dmesg': `[    1.0] Kernel command line: cifs.password=${secret('kernel')}`,
  'bin/chronyc': `key: auth_key=${secret('time key')}`,
  'sbin/nft': `table inet atomixos { comment "token=${secret('firewall')}" }`,
}

let given: TestInputs
let dir: string
let said: Map<string, string>
beforeAll(async () => {
  given = await openTestInputs()
  dir = await mkdtemp(join(tmpdir(), 'report-secrets-'))
  for (const [path, content] of Object.entries(planted)) {
    await mkdir(dirname(join(dir, 'root', path)), { recursive: true })
    await writeFile(join(dir, 'root', path), content)
  }
  await mkdir(join(dir, 'root/etc'), { recursive: true })
  await writeFile(join(dir, 'root/etc/os-release'), 'IMAGE_VERSION="1.2.3"\n')
  // This machine's programs by their names on a device, and ours in their place.
  for (const folder of ['bin', 'sbin']) {
    await mkdir(join(dir, folder))
    for (const name of await readdir(`/usr/${folder}`)) {
      if (!(`${folder}/${name}` in stubs))
        await symlink(`/host/usr/${folder}/${name}`, join(dir, folder, name))
    }
  }
  for (const [path, words] of Object.entries(stubs)) {
    await writeFile(join(dir, path), `#!/bin/sh\ncat <<'END'\n${words}\nEND\n`)
    await chmod(join(dir, path), 0o755)
  }
  await mkdir(join(dir, 'out'))
  const { loader } = given.tools.unconfined()
  const program = [
    process.execPath,
    join(rootDir, 'packages/device/src/main.ts'),
    'report',
    '/out/report.tar.gz',
  ]
  const made = await run([
    ...([...loader, join(given.tools.dir, 'usr/bin/bwrap')] as [string, ...string[]]),
    ...['--unshare-user', '--uid', '0', '--gid', '0', '--unshare-pid', '--proc', '/proc', '--dev', '/dev'],
    ...['--ro-bind', '/usr', '/host/usr', '--symlink', '/host/usr/lib', '/usr/lib'],
    ...['--symlink', '/host/usr/lib64', '/usr/lib64', '--symlink', '/host/usr/lib', '/lib'],
    ...['--symlink', '/host/usr/lib64', '/lib64', '--symlink', '/usr/bin', '/bin'],
    ...['--ro-bind', join(dir, 'bin'), '/usr/bin', '--ro-bind', join(dir, 'sbin'), '/usr/sbin'],
    ...['--ro-bind', join(dir, 'root/data'), '/data', '--ro-bind', join(dir, 'root/etc'), '/etc'],
    ...['--bind', join(dir, 'root/run'), '/run', '--tmpfs', '/tmp', '--bind', join(dir, 'out'), '/out'],
    ...['--ro-bind', rootDir, rootDir, '--chdir', '/', '--', ...program],
  ])
  if (made.exitCode !== 0) throw new Error(made.stderr)
  const unpacked = join(dir, 'unpacked')
  await mkdir(unpacked)
  await run(['tar', '-xzf', join(dir, 'out/report.tar.gz'), '-C', unpacked])
  const names = await readdir(join(unpacked, 'report'))
  said = new Map(
    await Promise.all(
      names.map(async (name) => [name, await readFile(join(unpacked, 'report', name), 'utf8')] as const),
    ),
  )
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
  await given[Symbol.asyncDispose]()
})

test('the programs were asked, and the rest of what they said is there', () => {
  expect(said.get('os-release.txt')).toContain('1.2.3')
  expect(said.get('journal.txt')).toContain('X-Api-Token: [removed]')
  expect(said.get('system.log')).toContain('podman run --env DB=[removed]')
  expect(said.get('data-usage.txt')).toContain('/data/config')
  expect(said.get('firewall.txt')).toContain('table inet atomixos')
})

test('no secret is in any of its files', () => {
  const found = [...secrets].flatMap(([name, word]) =>
    [...said].flatMap(([file, text]) => (text.includes(word) ? [`${name} is in ${file}`] : [])),
  )
  expect(secrets.size).toBeGreaterThan(30)
  expect(found).toEqual([])
})

test('it says what is not in it, and from where something was taken out', () => {
  const text = said.get('left-out.txt')!
  for (const word of [
    'config.toml',
    'SSH host keys',
    'hashes',
    'environments',
    'Wi-Fi and VPN',
    'claim codes',
  ]) {
    expect(text).toContain(word)
  }
  expect(text).toMatch(/system\.log: 1\d places/)
  expect(text).toMatch(/journal\.txt: 2 places/)
  expect(text).toMatch(/events\.jsonl\.1: can't be read: ENOENT/)
})
