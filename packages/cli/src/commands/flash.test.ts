/** The real command, on files and on real block devices, with a small image that has a real boot slot. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { constants, setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '@atomixos/config'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import type { Gpt } from '@atomixos/image/disk/gpt.ts'
import { attachLoop, runTool, whyNoLoopDevices } from '@atomixos/image/flash/test-devices.ts'
import { writeTestImage } from '@atomixos/image/flash/test-image.ts'
import { openTestInputs, type TestInputs } from '@atomixos/image/kernel/test-inputs.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const main = join(import.meta.dirname, '../main.ts')
const noLoops = await whyNoLoopDevices()

let given: TestInputs
let dir: string
let image: string
let gpt: Gpt
let config: string
beforeAll(async () => {
  given = await openTestInputs()
  dir = await mkdtemp(join(tmpdir(), 'atomixos-flash-command-'))
  image = join(dir, 'atomixos-trixie-rock64.img')
  gpt = await writeTestImage(image, given, 4)
  config = join(dir, 'operator.toml')
  await writeFile(config, leastToml)
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
  await given[Symbol.asyncDispose]()
})

let cards = 0
let card: string
beforeEach(async () => {
  cards += 1
  card = join(dir, `card-${cards}`)
  await writeFile(card, Buffer.alloc(gpt.diskBytes + MiB, 'old data '))
})

function start(...args: string[]) {
  const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
  const child = spawn(process.execPath, [main, 'flash', ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const ended = Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('close', resolve)),
  ]).then(([stdout, stderr, exitCode]) => ({ stdout, stderr, exitCode }))
  return { child, ended }
}

const run = (...args: string[]) => start(...args).ended

const untouched = async () => (await readFile(card)).equals(Buffer.alloc(gpt.diskBytes + MiB, 'old data '))

function headIsEmpty(path: string): boolean {
  const head = Buffer.alloc(MiB)
  const file = openSync(path, 'r')
  readSync(file, head, 0, MiB, 0)
  closeSync(file)
  return head.equals(Buffer.alloc(MiB))
}

/**
 * Lets the command run, a few milliseconds at a time, until it has emptied the start of the card and is about to write
 * what comes after. It is stopped then, however slow what follows here is, until `SIGCONT`.
 */
async function stopWhileItWrites(child: ChildProcess, path: string): Promise<void> {
  // On a busy machine the hand comes first: what the command does in one slice stays short.
  setPriority(child.pid!, constants.priority.PRIORITY_LOW)
  for (let slices = 0; slices < 20_000; slices++) {
    child.kill('SIGSTOP')
    if (headIsEmpty(path)) return
    if (child.exitCode !== null) break
    child.kill('SIGCONT')
    await sleep(5)
  }
  throw new Error(`the command never emptied the start of ${path}; exit code ${child.exitCode}`)
}

/** A file of a card's boot partition, by mtools; that of the configuration unless another one is named. */
async function seedOf(path: string, name = 'config.toml'): Promise<Buffer> {
  const out = join(dir, `seed-${cards}`)
  await mkdir(out, { recursive: true })
  const { offsetBytes, sizeBytes } = gpt.partitions[0]!
  const slot = Buffer.alloc(sizeBytes)
  await using file = await open(path, 'r')
  await file.read(slot, 0, sizeBytes, offsetBytes)
  await writeFile(join(out, 'boot.vfat'), slot)
  const tool = (...argv: [string, ...string[]]) =>
    given.tools.run({
      argv,
      purpose: 'the test',
      mounts: [{ hostPath: out, guestPath: '/out', writable: true }],
      timeoutMs: 30_000,
    })
  await tool('/usr/sbin/fsck.vfat', '-n', '/out/boot.vfat')
  await tool('/usr/bin/mcopy', '-i', '/out/boot.vfat', `::${name}`, `/out/${name}`)
  return readFile(join(out, name))
}

describe('flash', () => {
  test('shows what it does, writes the image, reads it back, and says so in JSON', async () => {
    const { stdout, stderr, exitCode } = await run('-y', '--json', '-i', image, card)
    expect(exitCode, stderr).toBe(0)
    const bytes = await readFile(image)
    expect((await readFile(card)).subarray(0, bytes.byteLength).equals(bytes)).toBe(true)
    expect(stderr).toContain(`Image   ${image}\n        ${(gpt.diskBytes / 1e6).toFixed(0)} MB, made 20`)
    expect(stderr).toContain('no SHA256SUMS is beside it: nothing but the file says that it is right')
    expect(stderr).toContain(`Device  ${card}\n        a file, file, `)
    expect(JSON.parse(stdout)).toMatchObject({
      device: card,
      image,
      sizeBytes: gpt.diskBytes,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      checkedBy: null,
      seedSha256: null,
    })
  })

  test('puts a configuration onto the boot partition, and changes nothing else', async () => {
    const { stdout, stderr, exitCode } = await run('-y', '--config', config, '-i', image, card)
    expect(exitCode, stderr).toBe(0)
    expect(stderr).toContain(
      `Seed    ${config} (${leastToml.length} bytes) becomes config.toml on the boot partition`,
    )
    expect(stdout).toContain('config.toml is on its boot partition.')
    expect(await seedOf(card)).toEqual(await readFile(config))
    const [before, after] = [await readFile(image), await readFile(card)]
    const { offsetBytes, sizeBytes } = gpt.partitions[0]!
    expect(after.subarray(0, offsetBytes).equals(before.subarray(0, offsetBytes))).toBe(true)
    const behind = offsetBytes + sizeBytes
    expect(after.subarray(behind, gpt.diskBytes).equals(before.subarray(behind))).toBe(true)
  })

  test('puts a claim code beside it, makes one where none is given, and shows that once', async () => {
    const made = await run('-y', '--config', config, '-i', image, card, '--claim-code')
    expect(made.exitCode, made.stderr).toBe(0)
    const [, code] = /^Claim code: (.+)\n/m.exec(made.stdout)!
    expect(code).toMatch(/^(?:[2-9a-z]{4}-){3}[2-9a-z]{4}$/)
    expect(`${made.stdout}${made.stderr}`.split(code!)).toHaveLength(2)
    expect(String(await seedOf(card, 'claim-code'))).toBe(`${code}\n`)
    expect(await seedOf(card)).toEqual(await readFile(config))

    const again = await run('-y', '--json', '-i', image, card, '--claim-code')
    expect(again.exitCode, again.stderr).toBe(0)
    const { claimCode, hasClaimCode } = JSON.parse(again.stdout)
    expect(hasClaimCode).toBe(true)
    expect(claimCode).not.toBe(code)
    expect(String(await seedOf(card, 'claim-code'))).toBe(`${claimCode}\n`)
    expect(again.stderr).not.toContain(claimCode)
  })

  test('takes a claim code that somebody has chosen, and does not repeat it', async () => {
    const { stdout, stderr, exitCode } = await run('-y', '--claim-code', 'mango-42-river', '-i', image, card)
    expect(exitCode, stderr).toBe(0)
    expect(String(await seedOf(card, 'claim-code'))).toBe('mango-42-river\n')
    expect(stdout).toContain('The claim code is on its boot partition, as claim-code.')
    expect(`${stdout}${stderr}`).not.toContain('mango')
  })

  test.each<[string, () => string[], () => string]>([
    [
      'a claim code that is a device',
      () => ['-y', '-i', image, '--claim-code', '/dev/sdz'],
      () =>
        'atomixos: /dev/sdz stands where the claim code would be, and there is no device\n  to have a code made, name the device first: `./atomixos flash /dev/sdz --claim-code`\n',
    ],
    [
      'a claim code that is none',
      () => ['-y', '-i', image, '--claim-code', 'short', card],
      () => 'atomixos: "short" cannot be a claim code: it has 8 characters at least\n',
    ],
    [
      'without a device',
      () => [],
      () =>
        'atomixos: which device?\n  name it: `./atomixos flash /dev/sdb`; `./atomixos flash --list` shows what there is\n',
    ],
    [
      'a device that is not there',
      () => ['-y', '-i', image, `${card}-none`],
      () =>
        `atomixos: ${card}-none is not there: ENOENT\n  \`./atomixos flash --list\` shows the disks of this machine\n`,
    ],
    ['the image itself', () => ['-y', '-i', image, image], () => `atomixos: ${image} is the image itself\n`],
    [
      'an image that is none',
      () => ['-y', '-i', config, card],
      () => `atomixos: ${config} has no GUID partition table\n`,
    ],
    [
      'a configuration that is none',
      () => ['-y', '--config', image, '-i', image, card],
      () => `atomixos: ${image} has ${gpt.diskBytes} bytes; a configuration has 1048576 at most\n`,
    ],
    [
      'no terminal to ask at',
      () => ['-i', image, card],
      () =>
        'atomixos: this must be confirmed, and there is no terminal to ask at. Nothing was changed.\n  run it at a terminal, or with -y\n',
    ],
  ])('%s is refused, and nothing is changed', async (_, args, message) => {
    const before = (await stat(image)).mtimeMs
    const { stdout, stderr, exitCode } = await run(...args())
    expect(stderr).toContain(message())
    expect({ stdout, failed: exitCode !== 0 }).toEqual({ stdout: '', failed: true })
    expect(await untouched()).toBe(true)
    expect((await stat(image)).mtimeMs).toBe(before)
  })

  test('a file that is too small is refused with both sizes', async () => {
    await truncate(card, 10 * MiB)
    const { stderr, exitCode } = await run('-y', '-i', image, card)
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(`atomixos: ${card} has 10 MB, and the system needs 45 MB\n`),
    })
  })

  test('Ctrl-C while it writes: exit code 130, the device is said to be lost and has no start', async () => {
    const large = join(dir, 'large.img')
    await writeTestImage(large, given, 400)
    await truncate(card, 460 * MiB)
    const { child, ended } = start('-y', '-i', large, card)
    await stopWhileItWrites(child, card)
    child.kill('SIGINT')
    child.kill('SIGCONT')
    const { stdout, stderr, exitCode } = await ended
    expect(exitCode, stderr).toBe(130)
    expect(stdout).toBe('')
    expect(stderr).toContain(
      `warning: ${card} is not usable now: what was on it is lost, and it does not boot.`,
    )
    expect(stderr).toMatch(/atomixos: interrupted\n$/)
    expect(headIsEmpty(card)).toBe(true)
    await rm(large)
  })

  test('a disk that fills up under the file: failed, and said', async () => {
    const small = join(dir, 'small')
    await mkdir(small, { recursive: true })
    const { loader } = given.tools.unconfined()
    const bwrap = [...loader, join(given.tools.dir, 'usr/bin/bwrap')] as const
    const script = `truncate -s ${gpt.diskBytes} ${small}/card; exec "$@"`
    const [program, ...rest] = [
      ...[...bwrap, '--dev-bind', '/', '/', '--size', String(8 * MiB), '--tmpfs', small, '--'],
      ...['sh', '-c', script, 'sh', process.execPath, main, 'flash', '-y', '-i', image, join(small, 'card')],
    ]
    const child = spawn(program!, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    const [stderr, exitCode] = await Promise.all([
      text(child.stderr),
      new Promise((resolve) => child.once('close', resolve)),
    ])
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /could not be written at \d+ MB: the disk that holds it is full\n.* is not usable now: what was on it is lost, and it does not boot\n/,
      ),
    })
  })
})

describe('the question at a terminal', () => {
  /** What a person sees who types this answer when asked. */
  async function answer(typed: string, ...args: string[]): Promise<string> {
    const tools = await given.inputs.toolTree('tools-machine')
    const { loader, env } = tools.unconfined()
    const command = [process.execPath, main, 'flash', ...args].join(' ')
    const [program, ...rest] = [...loader, join(tools.dir, 'usr/bin/socat')]
    const child = spawn(program!, [...rest, '-t1', `EXEC:${command},pty,setsid,ctty,stderr`, 'STDIO'], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: { ...process.env, ...env, TERM: 'dumb', NODE_COMPILE_CACHE: join(dir, 'compile-cache') },
    })
    let seen = ''
    child.stdout.on('data', (bytes: Buffer) => {
      const asked = seen.includes('to overwrite')
      seen += bytes.toString()
      if (!asked && seen.includes('to overwrite')) child.stdin.write(typed)
    })
    await new Promise((resolve) => child.once('close', resolve))
    return seen.replaceAll('\r', '')
  }

  test('yes goes on', async () => {
    const seen = await answer('yes\n', '-i', image, card)
    expect(seen).toContain(`Type yes to overwrite ${card}: `)
    expect(seen).toContain(`${card} has the image: `)
    expect((await readFile(card)).subarray(0, gpt.diskBytes).equals(await readFile(image))).toBe(true)
  })

  test.each([
    ['another word', 'y\n', 'atomixos: not confirmed. Nothing was changed.'],
    ['the end of input', '\x04', 'atomixos: not confirmed. Nothing was changed.'],
    ['Ctrl-C', '\x03', 'atomixos: interrupted'],
  ])('%s does not', async (_, typed, message) => {
    expect(await answer(typed, '-i', image, card)).toContain(message)
    expect(await untouched()).toBe(true)
  })
})

describe('flash --list', () => {
  test('gives JSON for scripts, with the reasons for a refusal', async () => {
    const { stdout, exitCode } = await run('--list', '--json')
    expect(exitCode).toBe(0)
    const disks = JSON.parse(stdout) as { path: string; system: boolean; refused: string[] }[]
    for (const { system, refused } of disks) if (system) expect(refused).not.toEqual([])
    const names = disks.map(({ path }) => path)
    expect(names).toEqual(names.toSorted())
  })

  test('and lines for people', async () => {
    const { stdout, exitCode } = await run('--list')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^(\/dev\/|This machine has no disks)/)
  })
})

describe.skipIf(noLoops)(`flash on block devices${noLoops ? ` (skipped: ${noLoops})` : ''}`, () => {
  const deviceBytes = 3_000 * MiB

  test('the right bytes, read back from the device, with the seed', async () => {
    await using loop = await attachLoop(given.tools, dir, deviceBytes)
    const { stdout, stderr, exitCode } = await run('-y', '--config', config, '-i', image, loop.path)
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain('All of it was read back from the device and is right.')
    expect(await seedOf(loop.backingPath)).toEqual(await readFile(config))
  })

  test('a partition is refused, and its disk is named', async () => {
    await using loop = await attachLoop(given.tools, dir, deviceBytes)
    expect(await run('-y', '-i', image, loop.path)).toMatchObject({ exitCode: 0 })
    // What a desktop does when a card is put in: the kernel reads the new table.
    await runTool(given.tools, 'usr/bin/partx', '--add', loop.path).catch(() => {})
    const partition = `${loop.path}p2`
    for (let waited = 0; waited < 30_000 && !(await stat(partition).catch(() => undefined)); waited += 50) {
      await sleep(50)
    }
    const { stderr, exitCode } = await run('-y', '-i', image, partition)
    await runTool(given.tools, 'usr/bin/partx', '--delete', loop.path).catch(() => {})
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: `atomixos: ${partition} is a partition, and the image is a whole disk\n  if all of it may be lost, name the disk: ${loop.path}\n`,
    })
  })

  test('a mounted disk is refused with the place, and not touched', async () => {
    await using loop = await attachLoop(given.tools, dir, deviceBytes)
    await runTool(given.tools, 'usr/sbin/mkfs.ext4', '-q', loop.path)
    const point = join(dir, 'mounted')
    await mkdir(point, { recursive: true })
    await runTool(given.tools, 'usr/bin/mount', '-t', 'ext4', loop.path, point)
    try {
      expect(await run('-y', '-i', image, loop.path)).toEqual({
        exitCode: 2,
        stdout: '',
        stderr: `atomixos: ${loop.path} is in use: ${loop.path} is mounted at ${point}\n  unmount it (\`umount\`, or the file manager) and run the command again\n`,
      })
      await writeFile(join(point, 'still-there'), 'yes')
    } finally {
      await runTool(given.tools, 'usr/bin/umount', point)
    }
  })

  test('a device that is too small for the system is refused, although the image fits', async () => {
    await using loop = await attachLoop(given.tools, dir, 2_000 * MiB)
    expect(await run('-y', '-i', image, loop.path)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining(`${loop.path} has 2.1 GB, and the system needs 2.7 GB`),
    })
  })

  test('a device that is pulled out while it is written', async () => {
    const large = join(dir, 'large.img')
    await writeTestImage(large, given, 400)
    await using loop = await attachLoop(given.tools, dir, deviceBytes)
    // Something at the start, so that its disappearance tells the moment.
    await copyFile(image, loop.backingPath)
    await truncate(loop.backingPath, deviceBytes)
    const { child, ended } = start('-y', '-i', large, loop.path)
    await stopWhileItWrites(child, loop.backingPath)
    await loop.pullOut()
    child.kill('SIGCONT')
    const { stdout, stderr, exitCode } = await ended
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' })
    expect(stderr).toMatch(/it was pulled out/)
    expect(stderr).toContain(`${loop.path} is not usable now: what was on it is lost, and it does not boot\n`)
    await rm(large)
  })
})
