import { execFile, spawn } from 'node:child_process'
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { bundleLimits } from '@atomixos/config/operator/bundle.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { writeTar } from '@atomixos/image/archive/write-tar.ts'
import { containerImages } from '@atomixos/image/container-image/images.ts'
import { nodeOf } from '@atomixos/image/tree/test-trees.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readBundleFolder } from './pack-bundle.ts'

/** The real command, and tar of this machine, which looks at what it made. */

const main = join(import.meta.dirname, '../main.ts')
let dir: string
let archive: Buffer
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atomixos-pack-'))
  const manifest = '[{"Config":"a.json","RepoTags":["localhost/web:1"],"Layers":[]}]'
  archive = await tarOf({ '/manifest.json': manifest, '/a.json': '{}' })
})
afterAll(() => rm(dir, { recursive: true, force: true }))

const toml = leastToml.replace(/Image = ".*"/, 'Image = "localhost/web:1"')

async function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
  for (const [path, content] of Object.entries({ 'config.toml': toml, ...files })) {
    await mkdir(dirname(join(dir, name, path)), { recursive: true })
    await writeFile(join(dir, name, path), content)
  }
  return join(dir, name)
}

async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const chunks = []
  const tree = new Map(Object.entries(files).map(([path, body]) => [path, nodeOf(body)]))
  for await (const chunk of writeTar(tree, { mtime: 0 })) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function pack(args: readonly string[]) {
  const child = spawn(process.execPath, [main, 'config', 'pack', ...args], { cwd: dir, stdio: 'pipe' })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { exitCode: await ended, stdout, stderr }
}

async function listed(path: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('tar', ['-tvf', path, '--numeric-owner', '--utc'], {
    cwd: dir,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  })
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.replaceAll(/ +/g, ' '))
}

describe('a bundle', () => {
  test('tar lists what was packed, without owners and times', async () => {
    const from = await folder('gateway', {
      'files/www/index.html': '<p>hello',
      [`files/www/${'n'.repeat(120)}`]: '',
      'files/images/web.tar': archive,
      'files/run': '#!/bin/sh\n',
      'files/secret': 'x',
      'notes.txt': 'not for the device',
    })
    await chmod(join(from, 'files/run'), 0o755)
    await chmod(join(from, 'files/secret'), 0o600)
    const { exitCode, stdout, stderr } = await pack(['gateway', '-o', 'g.tar.gz'])
    expect(stdout).toBe('g.tar.gz: 0.1 MiB, 9 members, with localhost/web:1\n')
    expect(stderr).toContain('gateway: notes.txt is not packed: a bundle is config.toml and files/\n')
    expect(stderr).not.toContain('warning')
    expect(exitCode).toBe(0)
    expect(await listed('g.tar.gz')).toEqual([
      `-rw------- 0/0 ${toml.length} 1970-01-01 00:00 config.toml`,
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 files/',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 files/images/',
      `-rw-r--r-- 0/0 ${archive.length} 1970-01-01 00:00 files/images/web.tar`,
      '-rwxr-xr-x 0/0 10 1970-01-01 00:00 files/run',
      '-rw------- 0/0 1 1970-01-01 00:00 files/secret',
      'drwxr-xr-x 0/0 0 1970-01-01 00:00 files/www/',
      '-rw-r--r-- 0/0 8 1970-01-01 00:00 files/www/index.html',
      `-rw-r--r-- 0/0 0 1970-01-01 00:00 files/www/${'n'.repeat(120)}`,
    ])
  })

  test('the same files, whenever and wherever: the same bytes', async () => {
    const from = await folder('one', { 'files/a': 'a', 'files/b': 'b', 'files/images/web.tar': archive })
    await cp(from, join(dir, 'deep/two'), { recursive: true })
    await utimes(join(dir, 'deep/two/files/a'), 1, 1)
    for (const name of ['one', 'deep/two']) expect((await pack([name])).exitCode).toBe(0)
    const [one, two] = await Promise.all(
      ['one.tar.zst', 'two.tar.zst'].map((name) => readFile(join(dir, name))),
    )
    expect(one!.equals(two!)).toBe(true)
    expect(zstdDecompressSync(one!).toString('latin1', 257, 262)).toBe('ustar')
  })

  test('--json', async () => {
    await folder('json', { 'files/images/web.tar.zst': zstdCompressSync(archive) })
    const { stdout, exitCode } = await pack(['json', '--json'])
    expect(exitCode).toBe(0)
    const { bundle, ...rest } = JSON.parse(stdout)
    const { stdout: hash } = await promisify(execFile)('sha256sum', [join(dir, 'json.tar.zst')])
    expect(bundle).toMatchObject({ path: 'json.tar.zst', sha256: hash.slice(0, 64) })
    expect(rest).toEqual({
      members: 4,
      images: [{ path: 'files/images/web.tar.zst', images: ['localhost/web:1'], containers: ['web'] }],
      ...{ leftOut: [], problems: [], warnings: [] },
    })
  })
})

describe('images', () => {
  test('what nobody would load, and what nobody brings', async () => {
    const other = archive.toString('latin1').replace('localhost/web:1', 'localhost/not:1')
    await folder('images', {
      'files/images/other.tar.gz': gzipSync(Buffer.from(other, 'latin1')),
      'files/images/readme.txt': 'images are here\n',
    })
    const { exitCode, stdout, stderr } = await pack(['images'])
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^images.tar.zst: .* MiB, 5 members\n$/)
    for (const said of [
      'images: warning: files/images/other.tar.gz: no container names localhost/not:1: it will not be loaded\n',
      'images: warning: files/images/readme.txt: it is no archive with names of images, and will not be loaded\n',
      'images: warning: containers.container.web.Container.Image: no archive in files/images has localhost/web:1\n',
    ]) {
      expect(stderr).toContain(said)
    }
  })

  test('an image of a registry needs no archive, a file that is not there is told of', async () => {
    const config = `${leastToml}Container.Volume = ["\${FILES_DIR}/www:/www:ro", "\${FILES_DIR}/a/b:/b"]\n`
    await folder('registry', { 'config.toml': config, 'files/a/b': '' })
    const { warnings } = JSON.parse((await pack(['registry', '--json'])).stdout)
    expect(warnings).toEqual([{ path: 'files/www', message: 'web.container names it, and it is not there' }])
  })
})

describe('what a device would not take is not packed', () => {
  test('a configuration with problems, with the lines', async () => {
    await folder('bad', { 'config.toml': toml.replace('required', 'requierd') })
    const { exitCode, stdout, stderr } = await pack(['bad'])
    expect([exitCode, stdout]).toEqual([1, ''])
    expect(stderr).toContain('bad/config.toml:6:1: activation.requierd: there is no such key\n')
    expect(stderr).toContain('bad: 2 problems\n  nothing was packed\n')
    expect(await readdir(dir)).not.toContain('bad.tar.zst')
  })

  test('files, all at once', async () => {
    const from = await folder('files', {
      'files/images/a b.tar': archive,
      'files/images/below/web.tar': archive,
      'files/evil\u001b[31m': '',
    })
    await symlink('/etc/passwd', join(from, 'files/link'))
    await writeFile(join(from, 'files/large'), Buffer.alloc(bundleLimits.memberBytesMax + 1))
    await writeFile(join(dir, 'files.tar.zst'), 'before')
    const { exitCode, stderr } = await pack(['files'])
    expect(exitCode).toBe(1)
    for (const said of [
      'files: files/link: it is a link, or no file at all\n',
      'files: files/large: it is 64.1 MiB, and 64 MiB are the most\n',
      'files: files/images/a b.tar: an archive with such a name is not loaded\n',
      'files: files/images/below/web.tar: archives in folders are not loaded\n',
      'files: 5 problems\n',
    ]) {
      expect(stderr).toContain(said)
    }
    expect(stderr).not.toContain('\u001b[31m')
    expect(await readFile(join(dir, 'files.tar.zst'), 'utf8')).toBe('before')
    const { problems, bundle } = JSON.parse((await pack(['files', '--json'])).stdout)
    expect([problems.length, bundle]).toEqual([5, null])
  })

  test('more than is uploaded', async () => {
    const noise = Buffer.alloc(bundleLimits.uploadBytesMax + 1)
    for (let at = 0; at < noise.length; at += 65_536) crypto.getRandomValues(noise.subarray(at, at + 65_536))
    await folder('heavy', { 'files/noise': noise })
    const { exitCode, stderr } = await pack(['heavy', '-o', 'heavy.tgz'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('the bundle would be 32.1 MiB, and a device takes 32 MiB\n')
    expect((await readdir(dir)).filter((name) => name.startsWith('heavy'))).toEqual(['heavy'])
  })

  test.each([
    [['nowhere'], 'nowhere is not there'],
    [['config-file'], 'config-file is no folder'],
    [['empty'], 'empty has no config.toml'],
    [['gateway', '-o', 'gateway.zip'], 'gateway.zip does not say how it is compressed'],
    [['gateway', '-o', 'no/such/folder.tar.gz'], 'no/such/folder.tar.gz cannot be written'],
  ])('%j: %s', async (args, message) => {
    await folder('gateway', {})
    await mkdir(join(dir, 'empty'), { recursive: true })
    await writeFile(join(dir, 'config-file'), '')
    const { exitCode, stderr, stdout } = await pack(args)
    expect(stderr).toContain(`atomixos: ${message}`)
    expect([exitCode, stdout]).toEqual([2, ''])
  })
})

describe('the worked example', () => {
  const example = join(import.meta.dirname, '../../../../docs/examples/proxy')

  test.each([
    ['Caddy', example, 'files/Caddyfile'],
    ['Traefik', join(example, 'traefik'), 'files/routes.toml'],
  ])(
    'with %s: one port is open, which leads to the application, and all files are there',
    async (_, from, rules) => {
      const { parsed, problems, warnings } = await readBundleFolder(from)
      expect([parsed.problems, parsed.warnings, problems]).toEqual([[], [], []])
      // The images are not in the repository.
      expect(warnings.filter(({ path }) => !path.endsWith('.Image'))).toEqual([])
      const { network, containers } = parsed.config!
      expect(network?.firewall).toEqual({ inbound: { wan: { tcp: [8443] } } })
      expect(containers.container.web?.Container.PublishPort).toBe('8081:8080')
      expect(containers.container.web?.privileged).toBe(false)
      const text = await readFile(join(from, rules), 'utf8')
      expect(text).toMatch(/127\.0\.0\.1:8081/)
      expect(text).toMatch(/operator:? ?\$2b\$10\$[./A-Za-z0-9]{53}/)
    },
  )

  test('it names the images that `config image` makes', async () => {
    const { parsed } = await readBundleFolder(example)
    const named = Object.values(parsed.config!.containers.container).map(({ Container }) => Container.Image)
    expect(named.sort()).toEqual([containerImages.busybox.reference, containerImages.caddy.reference])
  })

  test('`config image` writes an archive that `config pack` knows', async () => {
    const from = await folder('imaged', {
      'config.toml': toml.replace('localhost/web:1', 'localhost/busybox:1'),
    })
    const image = join(from, 'files/images/busybox.tar')
    const main = join(import.meta.dirname, '../main.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [
      main,
      'config',
      'image',
      'busybox',
      '-o',
      image,
    ])
    expect(stdout).toBe(`${image}: localhost/busybox:1\n`)
    const { images, warnings } = await readBundleFolder(from)
    expect(warnings).toEqual([])
    expect(images).toEqual([
      { path: 'files/images/busybox.tar', images: ['localhost/busybox:1'], containers: ['web'] },
    ])
  })
})
