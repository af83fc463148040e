import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { TreeNode } from '../tree/tree.ts'
import { openTestInputs, scratchDir } from './test-inputs.ts'
import { openToolTree, type UnpackedToolTree } from './tool-tree.ts'
import type { ToolRun } from './tools.ts'

let tools: UnpackedToolTree
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
})

function shell(script: string, options: Partial<ToolRun> = {}) {
  return tools.run({
    argv: ['/usr/bin/sh', '-c', script],
    purpose: 'try something',
    mounts: [],
    timeoutMs: 30_000,
    ...options,
  })
}

const messageOf = (running: Promise<unknown>) =>
  running.then(
    () => 'nothing failed',
    (error: Error) => error.message,
  )

describe('a program of a tools tree', () => {
  test('sees an environment built from nothing', async () => {
    process.env.SEEN_OUTSIDE = 'yes'
    const { stdout } = await shell(
      'env | sort; id -u; hostname 2>/dev/null || cat /proc/sys/kernel/hostname',
      {
        env: { SOURCE_DATE_EPOCH: '7' },
      },
    )
    delete process.env.SEEN_OUTSIDE
    expect(stdout.split('\n')).toEqual([
      ...[
        'HOME=/tmp',
        'LC_ALL=C.UTF-8',
        'PATH=/usr/bin:/usr/sbin',
        'PWD=/tmp',
        'SOURCE_DATE_EPOCH=7',
        'TZ=UTC',
      ],
      ...['0', 'build', ''],
    ])
  })

  test('sees no path, process or network of the host', async () => {
    const { stdout } = await shell(
      'ls /; ls -d /proc/[0-9]* | wc -l; cat /proc/net/dev | tail -n +3 | cut -d: -f1',
    )
    const lines = stdout.split('\n').map((line) => line.trim())
    for (const name of ['home', 'root', 'boot'])
      expect((await shell(`ls -A /${name} || true`)).stdout).toBe('')
    expect(lines).not.toContain('work')
    expect(Number(lines.find((line) => /^\d+$/.test(line)))).toBeLessThan(8)
    expect(lines.at(-2)).toBe('lo')
  })

  test('writes where it may and nowhere else', async () => {
    await using dir = await scratchDir()
    const mounts = [
      { hostPath: join(dir.path, 'in'), guestPath: '/scratch/in', writable: false },
      { hostPath: join(dir.path, 'out'), guestPath: '/scratch/out', writable: true },
    ]
    await mkdir(join(dir.path, 'in'))
    await mkdir(join(dir.path, 'out'))
    await writeFile(join(dir.path, 'in/name'), 'content')
    const own = process.umask(0o077)
    await shell('cp /scratch/in/name /scratch/out/copy', { mounts })
    process.umask(own)
    expect(await readFile(join(dir.path, 'out/copy'), 'utf8')).toBe('content')
    expect((await stat(join(dir.path, 'out/copy'))).mode & 0o777).toBe(0o644)
    for (const path of ['/scratch/in/x', '/usr/bin/x', '/etc/x', '/x']) {
      expect(await messageOf(shell(`echo > ${path}`, { mounts }))).toMatch(/Read-only file system/)
    }
  })

  test('reads its input and reports its lines while it runs', async () => {
    const lines: string[] = []
    const { stdout } = await shell('cat; echo two >&2; printf three', {
      stdin: Buffer.from('one\n'),
      onLine: (line) => lines.push(line),
    })
    expect(stdout).toBe('one\nthree')
    expect(lines.sort()).toEqual(['one', 'three', 'two'])
  })

  test('may be the same as on any other machine: locale, links that installing would make', async () => {
    const { stdout } = await shell('printf ä | wc -m; readlink /usr/bin/sh; readlink /bin; locale charmap')
    expect(stdout).toBe('1\ndash\nusr/bin\nUTF-8\n')
  })
})

describe('a program that fails', () => {
  test('tells what it was needed for, how it ended, its command and its last lines', async () => {
    expect(
      await messageOf(shell('for i in $(seq 30); do echo line $i; done; echo "bad thing" >&2; exit 3')),
    ).toBe(
      [
        'try something: exit code 3',
        `  /usr/bin/sh -c 'for i in $(seq 30); do echo line $i; done; echo "bad thing" >&2; exit 3'`,
        ...Array.from({ length: 19 }, (_, index) => `  line ${index + 12}`),
        '  bad thing',
      ].join('\n'),
    )
  })

  test('by a signal, is told from one that ends by itself', async () => {
    expect(await messageOf(shell('kill -SEGV $$'))).toMatch(
      /^try something: killed by SIGSEGV \(exit code 139\)\n/,
    )
  })

  test('by not being there, is named', async () => {
    const running = tools.run({ argv: ['/usr/bin/nothing'], purpose: 'make it', mounts: [], timeoutMs: 5000 })
    expect(await messageOf(running)).toBe('make it: program not found in the tools: /usr/bin/nothing')
  })

  test('for a mount that is not there, names the path', async () => {
    const mounts = [{ hostPath: '/nonexistent', guestPath: '/scratch', writable: false }]
    expect(await messageOf(shell('true', { mounts }))).toBe(
      "try something: the sandbox could not be made: Can't find source path /nonexistent: No such file or directory",
    )
  })
})

describe('a program that does not end', () => {
  /** Counts the seconds into a file for as long as it lives, from a grandchild that left the session. */
  const heartbeat = 'setsid sh -c "while :; do echo >> /scratch/beat; sleep 0.05; done" & sleep 100'

  async function survivors(run: (options: Partial<ToolRun>, beat: string) => Promise<string>) {
    await using dir = await scratchDir()
    const beat = join(dir.path, 'beat')
    const mounts = [{ hostPath: dir.path, guestPath: '/scratch', writable: true }]
    const message = await run({ mounts }, beat)
    expect(existsSync(beat)).toBe(true)
    await sleep(100)
    const size = (await stat(beat)).size
    await sleep(300)
    expect((await stat(beat)).size).toBe(size)
    return message
  }

  test('is ended at its deadline with all that it started', async () => {
    const message = await survivors((options) => messageOf(shell(heartbeat, { ...options, timeoutMs: 4000 })))
    expect(message).toMatch(/^try something: timed out after 4 s\n/)
  })

  test('is ended by the signal with all that it started', async () => {
    const enough = new AbortController()
    const message = await survivors(async (options, beat) => {
      const ended = messageOf(shell(heartbeat, { ...options, signal: enough.signal }))
      await expect.poll(() => existsSync(beat)).toBe(true)
      enough.abort(new Error('that is enough'))
      return await ended
    })
    expect(message).toMatch(/that is enough/)
  })
})

describe('a tree', () => {
  const file = (text: string, mode = 0o644): TreeNode => ({
    ...{ type: 'file', mode, uid: 0, gid: 0, origin: 'test' },
    content: { kind: 'bytes', bytes: Buffer.from(text) },
  })
  const directory: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, origin: 'test' }
  const locked = { name: 'x', version: '1', architecture: 'all', source: 'x', sourceVersion: '1' }
  const packages = [
    { ...locked, archive: 'debian' as const, path: 'pool/x', sizeBytes: 1, sha256: 'a'.repeat(64) },
  ]
  const signal = new AbortController().signal
  const good = new Map([
    ['/usr', directory],
    ['/usr/bin', { ...directory, mode: 0o555 }],
    ['/usr/bin/dash', file('#!', 0o4755)],
  ])

  test('has the modes of the packages, whatever the umask, but no setuid', async () => {
    await using dir = await scratchDir()
    const own = process.umask(0o077)
    const tree = await openToolTree({
      name: 't',
      packages,
      packageTrees: async () => [good],
      cacheDir: dir.path,
      signal,
    })
    process.umask(own)
    expect((await stat(join(tree.dir, 'usr/bin/dash'))).mode & 0o7777).toBe(0o755)
    expect((await stat(join(tree.dir, 'usr/bin/sh'))).size).toBe(2)
    expect(tree.dir).toBe(join(dir.path, 'trees', `t-${tree.id.slice(0, 32)}`))
  })

  test('that could not be finished is not there', async () => {
    await using dir = await scratchDir()
    const bad = new Map([...good, ['/usr/bin/dash/below', file('no')]])
    const opening = openToolTree({
      name: 't',
      packages,
      packageTrees: async () => [bad],
      cacheDir: dir.path,
      signal,
    })
    await expect(opening).rejects.toThrow('ENOTDIR')
    expect(await readdir(join(dir.path, 'trees'))).toEqual([])
  })

  test('is made once', async () => {
    await using dir = await scratchDir()
    const options = { name: 't', packages, cacheDir: dir.path, signal }
    await openToolTree({ ...options, packageTrees: async () => [good] })
    const again = await openToolTree({
      ...options,
      packageTrees: () => Promise.reject(new Error('asked again')),
    })
    expect(existsSync(join(again.dir, 'usr/bin/dash'))).toBe(true)
  })
})
