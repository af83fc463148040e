import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { GuestGone } from '../errors.ts'
import { type LocalGuest, startLocalGuest } from '../fixtures/local-guest.ts'
import { Agent } from './agent.ts'

describe('the agent, against its own shell program', () => {
  let dir: string
  let guest: LocalGuest
  let agent: Agent
  const never = new AbortController().signal

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'agent-'))
    guest = await startLocalGuest(dir, 2)
    agent = new Agent(guest.socketPaths, () => true)
    await agent.connect()
  })
  afterEach(async () => {
    agent.disconnect('the test is over')
    guest.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const run = (command: string, timeoutMs = 10_000) => agent.run(command, timeoutMs, never)

  test('gives exit code, standard output and standard error', async () => {
    const reply = await run('echo out; echo err >&2; exit 3')
    expect([reply.exitCode, String(reply.stdout), String(reply.stderr)]).toEqual([3, 'out\n', 'err\n'])
  })

  test('passes every byte', async () => {
    const reply = await run(`i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i + 1)); done`)
    expect([...reply.stdout]).toEqual(Array.from({ length: 256 }, (_, index) => index))
  })

  test.each([
    ['several lines', 'echo one\necho two', 'one\ntwo\n'],
    ['an empty line and a trailing one', 'echo one\n\necho two\n', 'one\ntwo\n'],
    ['quotes, backslashes and other letters', `echo 'ä "b" \\\\c $d'`, 'ä "b" \\\\c $d\n'],
    ['leading blanks and here-documents', '  cat <<E\n   x  y\nE', '   x  y\n'],
    ['nothing', '', ''],
  ])('runs a command of %s', async (_name, command, output) => {
    expect(String((await run(command)).stdout)).toBe(output.replaceAll('\\\\', '\\'))
  })

  test('standard input is empty, and the channel is not to be seen', async () => {
    expect((await run('cat; ls /proc/self/fd | wc -l')).exitCode).toBe(0)
    expect((await run('echo .end 1 >&3')).exitCode).not.toBe(0)
  })

  test('large output comes whole', async () => {
    const reply = await run('head -c 3000000 /dev/zero')
    expect(reply.stdout.byteLength).toBe(3_000_000)
  })

  test('what looks like the protocol is only output', async () => {
    const reply = await run('echo .ready x; echo .begin 1 0; echo .err; echo .end 1')
    expect(String(reply.stdout)).toBe('.ready x\n.begin 1 0\n.err\n.end 1\n')
  })

  test('a command that takes too long is killed, its children too, and the lane goes on', async () => {
    const reply = await run(`sleep 300 & echo $! >${dir}/child; wait`, 3000)
    expect(reply.exitCode).toBe(124)
    const child = Number(await readFile(join(dir, 'child'), 'utf8'))
    // The signal was sent before the reply; on a busy host the child dies a moment after.
    await expect.poll(() => existsSync(`/proc/${child}/exe`), { timeout: 5000 }).toBe(false)
    expect((await run('true')).exitCode).toBe(0)
  })

  test('while one command runs, another lane answers', async () => {
    const slow = run('sleep 2; echo slow')
    expect(String((await run('echo fast')).stdout)).toBe('fast\n')
    expect(String((await slow).stdout)).toBe('slow\n')
  })

  test('commands started together share the lanes', async () => {
    const replies = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((word) => run(`echo ${word}`)))
    expect(replies.map(({ stdout }) => String(stdout).trim())).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('a reset ends running commands with an error, and the next boot answers', async () => {
    await run('true')
    const before = agent.lastBootId
    const rejected = expect(run('sleep 60')).rejects.toThrow(GuestGone)
    await agent.reconnect('the machine was reset')
    await rejected
    expect((await run('true')).exitCode).toBe(0)
    expect(agent.lastBootId).not.toBe(before)
  })

  test('nobody there is a wait, and the wait can be ended', async () => {
    agent.disconnect('power cut')
    await expect(agent.reached(AbortSignal.timeout(100))).rejects.toThrow(/timeout/)
    await expect(agent.run('true', 1000, AbortSignal.timeout(100))).rejects.toThrow(/timeout/)
  })

  test('writes files with their mode, whole or not at all', async () => {
    const content = Buffer.alloc(1_000_000, 'bytes\0\n.end 1\n')
    const path = join(dir, 'file with a blank')
    const reply = await agent.put(path, content, 0o640, never)
    expect([reply.exitCode, String(reply.stderr)]).toEqual([0, ''])
    expect((await readFile(path)).equals(content)).toBe(true)
    expect((await stat(path)).mode & 0o7777).toBe(0o640)
  })

  test('a file that cannot be written is an error, and the lane goes on', async () => {
    const reply = await agent.put('/proc/none/file', Buffer.alloc(500_000, 'x'), 0o644, never)
    expect(reply.exitCode).not.toBe(0)
    expect(String(reply.stderr)).toContain('/proc/none/file')
    expect(await Promise.all([run('true'), run('true')])).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }])
  })
})
