import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Random } from '@atomixos/config/network/test-random.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { BundleRefused, bundleLimits, bundleLimitsOf } from './bundle-limits.ts'
import { type FilesSink, readUpload } from './read-upload.ts'
import { gzip, type Member, memberOf, pax, tarOf, zstd } from './test-archives.ts'

const config: Member = { name: 'config.toml', content: leastToml }

interface Seen {
  readonly source: string
  readonly kind: string
  readonly folders: string[]
  readonly files: Record<string, string>
  readonly modes: Record<string, string>
}

async function read(upload: Uint8Array, options: Parameters<typeof readUpload>[2] = {}): Promise<Seen> {
  const folders: string[] = []
  const files: Record<string, string> = {}
  const modes: Record<string, string> = {}
  let last = ''
  const sink: FilesSink = {
    folder: (name) => folders.push(name),
    file(name, { executable, secret }) {
      last = name
      files[name] = ''
      modes[name] = `${executable ? 'x' : '-'}${secret ? 's' : '-'}`
    },
    data(chunk) {
      files[last] += Buffer.from(chunk).toString('latin1')
    },
    fileEnd() {
      last = 'none'
    },
  }
  const { source, kind } = await readUpload(upload, sink, options)
  return { source: Buffer.from(source).toString(), kind, folders, files, modes }
}

const refusal = (upload: Uint8Array, options: Parameters<typeof readUpload>[2] = {}) =>
  read(upload, options).then(
    () => 'taken',
    (error: Error) => {
      if (!(error instanceof BundleRefused)) throw error
      return error.message
    },
  )

describe('taken', () => {
  test('a config.toml alone, whatever is in it', async () => {
    expect(await read(Buffer.from(leastToml))).toMatchObject({ source: leastToml, kind: 'config', files: {} })
    expect((await read(Buffer.alloc(0))).source).toBe('')
  })

  test.each([
    ['gzip', gzip],
    ['zstd', zstd],
    [
      'zstd in two frames',
      (bytes: Buffer) => Buffer.concat([zstd(bytes.subarray(0, 700)), zstd(bytes.subarray(700))]),
    ],
  ])('a bundle by %s', async (_, compress) => {
    const big = 'x'.repeat(200_001)
    const upload = compress(
      tarOf([
        { name: './', type: '5' },
        { name: './config.toml', content: leastToml },
        { name: './files/', type: '5' },
        { name: './files/web/index.html', content: big },
        { name: './files/run', content: '#!', mode: 0o755 },
        { name: './files/key', content: '', mode: 0o600 },
      ]),
    )
    expect(await read(upload)).toEqual({
      source: leastToml,
      kind: 'bundle',
      folders: ['files', 'files/web'],
      files: { 'files/web/index.html': big, 'files/run': '#!', 'files/key': '' },
      modes: { 'files/web/index.html': '--', 'files/run': 'x-', 'files/key': '-s' },
    })
  })

  test.each<[string, readonly Member[]]>([
    ['a prefix', [{ name: 'c', prefix: 'files/a/b', content: 'C' }]],
    ['a path in a pax header', [pax({ path: 'files/a/b/c', mtime: '1.5' }), { name: 'x', content: 'C' }]],
    [
      'a size in a pax header',
      [pax({ size: '1', path: 'files/a/b/c' }), { name: 'x', content: 'C', size: 0 }],
    ],
    [
      "GNU's long name",
      [
        { name: '././@LongLink', type: 'L', content: 'files/a/b/c\0', magic: 'ustar  \0' },
        { name: 'x', content: 'C', magic: 'ustar  \0', prefix: 'no prefix' },
      ],
    ],
    ['a global comment', [pax({ comment: 'abc' }, 'g'), { name: 'files/a/b/c', content: 'C' }]],
  ])('a name by %s', async (_, members) => {
    const seen = await read(gzip(tarOf([config, ...members])))
    expect(seen.files).toEqual({ 'files/a/b/c': 'C' })
    expect(seen.folders).toEqual(['files', 'files/a', 'files/a/b'])
  })

  test('zeros up to the end of a record', async () => {
    expect((await read(gzip(tarOf([config], Buffer.alloc(10_240))))).kind).toBe('bundle')
  })
})

describe('refused', () => {
  const file = (name: string, more: Partial<Member> = {}): Member => ({ name, content: 'x', ...more })
  const bundle = (...members: Member[]) => gzip(tarOf([config, ...members]))

  test.each<[string, Uint8Array, string]>([
    ['an absolute path', bundle(file('/etc/passwd')), '"/etc/passwd" is an absolute path'],
    ['a path out of it', bundle(file('files/../../x')), '"files/../../x" leads out of the bundle'],
    [
      'a path out of it by pax',
      bundle(pax({ path: '../x' }), file('files/a')),
      '"../x" leads out of the bundle',
    ],
    ['a path out of it by prefix', bundle(file('x', { prefix: 'files/..' })), 'leads out of the bundle'],
    ['an absolute prefix', bundle(file('x', { prefix: '/files' })), 'is an absolute path'],
    ['an empty part', bundle(file('files//x')), 'is no proper path'],
    ['a dot within', bundle(file('files/./x')), 'is no proper path'],
    ['a file with a slash at its end', bundle(file('files/x/')), 'is no proper path'],
    ['a backslash', bundle(file('files\\x')), 'holds a backslash'],
    ['a line break', bundle(file('files/a\nb')), '"files/a\\nb" holds a character that does not show'],
    ['text that turns around', bundle(file('files/a\u202eb')), 'holds a character that does not show'],
    ['a long part', bundle(pax({ path: `files/${'x'.repeat(256)}` }), file('x')), 'longer than 255 bytes'],
    ['a deep path', bundle(pax({ path: `files${'/x'.repeat(40)}` }), file('x')), 'folders deep'],
    ['something else', bundle(file('README')), '"README" is not expected'],
    ['config.toml in a folder', gzip(tarOf([file('b/config.toml')])), '"b/config.toml" is not expected'],
    ['capital letters', bundle(file('Files/x')), '"Files/x" is not expected'],
    ["macOS' files", bundle(file('._config.toml')), "is one of macOS' own files"],
    ['files as a file', bundle(file('files')), '"files" is no folder'],
    [
      'config.toml as a folder',
      gzip(tarOf([{ name: 'config.toml', type: '5' }])),
      '"config.toml" is a folder',
    ],
    ['no config.toml', gzip(tarOf([file('files/x')])), 'it holds no config.toml'],
    ['nothing', gzip(tarOf([])), 'it holds no config.toml'],
    ['a name twice', bundle(file('files/x'), file('files/x')), 'files/x is in it twice'],
    ['a name twice, written otherwise', bundle(file('files/x'), file('./files/x')), 'files/x is in it twice'],
    ['two config.toml', bundle(config), 'config.toml is in it twice'],
    ['a file in a file', bundle(file('files/x'), file('files/x/y')), 'files/x is a file and a folder'],
    ['a file for a folder', bundle(file('files/x/y'), file('files/x')), 'files/x is a file and a folder'],
    ['a hard link', bundle({ name: 'files/x', type: '1', link: '/etc/passwd' }), '"files/x" is a hard link'],
    ['a symbolic link', bundle({ name: 'files/x', type: '2', link: '/etc' }), '"files/x" is a symbolic link'],
    ['a character device', bundle({ name: 'files/x', type: '3' }), '"files/x" is a device'],
    ['a block device', bundle({ name: 'files/x', type: '4' }), '"files/x" is a device'],
    ['a fifo', bundle({ name: 'files/x', type: '6' }), '"files/x" is a fifo'],
    ['a sparse file', bundle({ name: 'files/x', type: 'S' }), '"files/x" is a sparse file'],
    [
      'a sparse file by pax',
      bundle(pax({ 'GNU.sparse.major': '1' }), file('files/x')),
      'it holds a sparse file',
    ],
    ['a link by pax', bundle(pax({ linkpath: '/etc' }), file('files/x')), 'it holds a link'],
    ['a kind that is not known', bundle({ name: 'files/x', type: 'Z' }), 'of a kind that is not known'],
    ['a folder with content', bundle({ name: 'files/', type: '5', size: 512 }), 'a folder with content'],
    [
      'two pax headers',
      bundle(pax({ path: 'files/a' }), pax({ path: 'files/b' }), file('x')),
      'more than one header',
    ],
    [
      'two paths in one',
      bundle({ ...pax({}), content: '16 path=files/a\n16 path=files/b\n' }, file('x')),
      'two of "path"',
    ],
    [
      'a damaged pax header',
      bundle({ ...pax({}), content: '99 path=x\n' }, file('x')),
      'an extended header is damaged',
    ],
    ['a pax size that is none', bundle(pax({ size: '-1' }), file('files/x')), 'a size that is none'],
    ['two sizes', bundle(pax({ size: '9' }), file('files/x')), 'has two sizes'],
    ['a path for all', bundle(pax({ path: 'files/a' }, 'g'), file('files/x')), 'names a path or a size'],
    [
      'a binary size',
      bundle(file('files/x', { size: '\x80\0\0\0\0\0\0\0\0\0\0\x01' })),
      'a number that is none',
    ],
    ['a wrong checksum', gzip(tarOf([config, file('files/x', { damaged: true })])), 'the archive is damaged'],
    ['no tar', gzip(Buffer.from(leastToml.padEnd(600, '\n'))), 'what is compressed is no tar archive'],
    ['too short for a tar', gzip(Buffer.from('hello')), 'the archive is cut off'],
    ['an archive without its end', gzip(tarOf([config], Buffer.alloc(0))), 'the archive is cut off'],
    ['an archive with half an end', gzip(tarOf([config], Buffer.alloc(512))), 'the archive is cut off'],
    ['an archive cut in a file', gzip(memberOf(config).subarray(0, 600)), 'the archive is cut off'],
    [
      'a second archive',
      gzip(Buffer.concat([tarOf([config]), tarOf([config])])),
      'behind the end of the archive',
    ],
    [
      'a header behind one empty block',
      gzip(tarOf([config, { name: '', damaged: true }])),
      'the archive is damaged',
    ],
    ['an end within a member', bundle(pax({ path: 'files/a' })), 'ends within a member'],
    ['text behind gzip', Buffer.concat([bundle(), Buffer.from('x')]), 'it cannot be unpacked'],
    ['zeros behind gzip', Buffer.concat([bundle(), Buffer.alloc(9)]), 'behind the end of the archive'],
    [
      'text behind zstd',
      Buffer.concat([zstd(tarOf([config])), Buffer.from('x')]),
      'behind the end of the archive',
    ],
    ['gzip cut off', bundle().subarray(0, -5), 'it cannot be unpacked'],
    ['zstd cut off', zstd(tarOf([config])).subarray(0, -5), 'it cannot be unpacked'],
    ['gzip in gzip', gzip(bundle()), 'the archive is cut off'],
    ['tar without compression', tarOf([config]), 'it is a tar archive that is not compressed'],
    ['zip', Buffer.from('PK\x03\x04rest'), 'it is a zip archive'],
    ['xz', Buffer.from('\xfd7zXZ\0', 'latin1'), 'it is compressed by xz'],
    ['bzip2', Buffer.from('BZh9'), 'it is compressed by bzip2'],
  ])('%s', async (_, upload, message) => {
    expect(await refusal(upload)).toContain(message)
  })

  test('a name that is not UTF-8', async () => {
    const member = memberOf({ name: 'files/x', content: '' })
    member[7] = 0xff
    // The checksum goes with it.
    member.write(
      `${(Number.parseInt(member.toString('latin1', 148, 154), 8) + 0xff).toString(8).padStart(6, '0')}\0 `,
      148,
    )
    expect(await refusal(gzip(Buffer.concat([memberOf(config), member, Buffer.alloc(1024)])))).toBe(
      'the name of a member is not UTF-8',
    )
  })
})

describe('limits', () => {
  const many = (count: number) =>
    tarOf([config, ...Array.from({ length: count - 1 }, (_, index) => ({ name: `files/${index}` }))])

  test('4,096 members, not one more', async () => {
    expect(await refusal(gzip(many(4096)))).toBe('taken')
    expect(await refusal(gzip(many(4097)))).toBe('it has more than 4096 members')
  })

  test('a bomb ends when it has unpacked to 256 MiB, however small it came', async () => {
    const zeros = Buffer.alloc(60 << 20)
    const bomb = zstd(
      tarOf([config, ...[1, 2, 3, 4, 5].map((index) => ({ name: `files/${index}`, content: zeros }))]),
    )
    expect(bomb.length).toBeLessThan(100_000)
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const sink: FilesSink = {
      folder() {},
      file() {},
      data: () => {
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      },
      fileEnd() {},
    }
    await expect(readUpload(bomb, sink)).rejects.toThrow('it unpacks to more than 256 MiB')
    expect(most).toBeLessThan(64 << 20)
  })

  test('zeros behind the end count', async () => {
    const upload = gzip(tarOf([config], Buffer.alloc(2 << 20)))
    const limits = { ...bundleLimits, unpackedBytesMax: 1 << 20 }
    expect(await refusal(upload, { limits })).toBe('it unpacks to more than 1 MiB')
  })

  test('a member, the upload and the time have theirs', async () => {
    const large = gzip(tarOf([config, { name: 'files/x', size: (64 << 20) + 1 }]))
    expect(await refusal(large)).toBe('"files/x" is larger than 64 MiB')
    expect(await refusal(Buffer.alloc((32 << 20) + 1))).toBe('it is larger than 32 MiB')
    const toml = gzip(tarOf([{ name: 'config.toml', size: (4 << 20) + 1 }]))
    expect(await refusal(toml)).toBe('config.toml is larger than 4 MiB')
    let now = 0
    expect(await refusal(gzip(many(2000)), { nowMs: () => (now += 16_000) })).toContain('longer than 30 s')
  })

  test('the environment of the unit may set others', () => {
    expect(bundleLimitsOf({ PATH: '/' })).toEqual(bundleLimits)
    expect(bundleLimitsOf({ ATOMIXOS_BUNDLE_MEMBERS: '9', ATOMIXOS_BUNDLE_UNPACK_MS: '5' })).toEqual({
      ...bundleLimits,
      membersMax: 9,
      unpackMs: 5,
    })
    for (const text of ['', '0', '-1', '1e3', '0x9', '99999999999999']) {
      expect(() => bundleLimitsOf({ ATOMIXOS_BUNDLE_MEMBERS: text })).toThrow('is no whole number above 0')
    }
  })

  test('a window that needs more than 32 MiB of memory', async () => {
    // Frame header: no checksum, no size; window of 2^27.
    const frame = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 1, 0, 0])
    expect(await refusal(frame)).toContain('it cannot be unpacked')
  })
})

const tarPath = ['/usr/bin/tar', '/bin/tar'].find(existsSync)

describe.skipIf(tarPath === undefined)('archives of the real tar (skipped where there is none)', () => {
  async function packed(args: readonly string[], prepare: (dir: string) => Promise<void>): Promise<Buffer> {
    const dir = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    await mkdir(join(dir, 'in/files/deep'), { recursive: true })
    await writeFile(join(dir, 'in/config.toml'), leastToml)
    await writeFile(join(dir, 'in/files/deep/a.txt'), 'a'.repeat(1500))
    await prepare(join(dir, 'in'))
    await promisify(execFile)(tarPath!, ['-C', join(dir, 'in'), '-cf', join(dir, 'out.tar'), ...args])
    return readFile(join(dir, 'out.tar'))
  }

  test.each([
    ['--format=gnu', '.'],
    ['--format=ustar', 'config.toml', 'files'],
    ['--format=posix', '.'],
    ['--format=posix', '--sort=name', '--owner=0', '--mtime=@0', 'config.toml', 'files'],
  ])('%s %s', async (...args) => {
    const long = `files/${'d'.repeat(90)}/${'e'.repeat(args[0] === '--format=ustar' ? 60 : 150)}.txt`
    const upload = await packed(args, async (dir) => {
      await mkdir(join(dir, long, '..'), { recursive: true })
      await writeFile(join(dir, long), 'long')
      await writeFile(join(dir, 'files/ünï code.txt'), 'text')
    })
    for (const compress of [gzip, zstd]) {
      const { source, files } = await read(compress(upload))
      expect(source).toBe(leastToml)
      expect(files).toEqual({
        [long]: 'long',
        'files/ünï code.txt': 'text',
        'files/deep/a.txt': 'a'.repeat(1500),
      })
    }
  })

  test('links and sparse files', async () => {
    const link = await packed(['.'], (dir) => symlink('/etc/passwd', join(dir, 'files/l')))
    expect(await refusal(gzip(link))).toBe('"./files/l" is a symbolic link')
    for (const format of ['gnu', 'posix']) {
      const sparse = await packed([`--format=${format}`, '--sparse', '.'], async (dir) => {
        const file = await open(join(dir, 'files/s'), 'w')
        await file.truncate(4 << 20)
        await file.write('x', 2 << 20)
        await file.close()
      })
      expect(await refusal(gzip(sparse))).toContain('sparse')
    }
  })

  test.each([1, 2, 3])('with bytes changed anywhere: refused, or as safe as any (seed %i)', async (seed) => {
    const random = new Random(seed)
    const good = await packed(['--format=posix', '.'], (dir) =>
      writeFile(join(dir, 'files/b'), 'b'.repeat(700)),
    )
    let taken = 0
    for (let round = 0; round < 400; round += 1) {
      const bytes = Buffer.from(good)
      const changes = 1 + random.below(4)
      for (let change = 0; change < changes; change += 1) {
        const at = random.below(bytes.length)
        if (random.below(3) === 0)
          bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length))
        else bytes[at] = random.below(256)
      }
      // Checksums that hold again, so that what is behind them is read.
      if (random.below(2) === 0) for (let at = 0; at < bytes.length; at += 512) mendChecksum(bytes, at)
      const cut = random.below(4) === 0 ? bytes.subarray(0, random.below(bytes.length)) : bytes
      const seen = await read(gzip(cut)).catch((error: Error) => {
        if (!(error instanceof BundleRefused)) throw error
        return undefined
      })
      if (seen === undefined) continue
      taken += 1
      for (const name of [...Object.keys(seen.files), ...seen.folders]) {
        expect(name).toMatch(/^files(\/[^/\0]+)*$/)
        expect(name.split('/')).not.toContain('..')
      }
    }
    expect(taken).toBeGreaterThan(10)
    expect(taken).toBeLessThan(390)
  })

  test.each([1, 2, 3])(
    'with compressed bytes changed: nothing but refusals and texts (seed %i)',
    async (seed) => {
      const random = new Random(seed)
      const good = await packed(['.'], async () => {})
      for (let round = 0; round < 150; round += 1) {
        const bytes = Buffer.from(random.below(2) === 0 ? gzip(good) : zstd(good))
        for (let change = 0; change <= random.below(3); change += 1)
          bytes[random.below(bytes.length)] = random.below(256)
        await read(bytes).catch((error: Error) => {
          if (!(error instanceof BundleRefused)) throw error
        })
      }
    },
  )
})

function mendChecksum(bytes: Buffer, at: number): void {
  const header = bytes.subarray(at, at + 512)
  if (header.length < 512 || header.toString('latin1', 257, 262) !== 'ustar') return
  header.write('        ', 148)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
}
