import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Agent } from './agent/agent.ts'
import { type LocalGuest, startLocalGuest } from './fixtures/local-guest.ts'
import { type GuestLink, GuestShell } from './guest.ts'

/** The guest is a local shell; systemd's side of things is in the stories that boot a real one. */
class LocalShell extends GuestShell {
  protected readonly link: GuestLink
  constructor(agent: Agent) {
    super()
    const report = () => '  console: nothing'
    this.link = {
      name: 'gateway',
      report,
      run: (command, timeoutMs, signal) => agent.run(command, timeoutMs, signal),
      put: (path, content, mode, signal) => agent.put(path, content, mode, signal),
      reached: (signal) => agent.reached(signal),
      frame: (what, options, lastLook) => ({
        subject: 'gateway',
        what,
        timeoutMs: options.timeoutMs ?? 10_000,
        signal: options.signal,
        lastLook,
        report,
        onImpossible: () => () => {},
      }),
    }
  }
}

describe('commands in a guest', () => {
  let dir: string
  let local: LocalGuest
  let agent: Agent
  let guest: LocalShell

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'guest-'))
    local = await startLocalGuest(dir, 2)
    agent = new Agent(local.socketPaths, () => true)
    await agent.connect()
    guest = new LocalShell(agent)
  })
  afterEach(async () => {
    agent.disconnect('the test is over')
    local.stop()
    await rm(dir, { recursive: true })
  })

  test('succeed gives standard output, or an error with everything in it', async () => {
    expect(await guest.succeed('echo hello; echo noise >&2')).toBe('hello\n')
    await expect(guest.succeed('echo hello; echo noise >&2; exit 3')).rejects.toThrow(
      'gateway: exit code 3: echo hello; echo noise >&2; exit 3\n    hello\n    noise\n  console: nothing',
    )
  })

  test('fail wants a failure of the command itself', async () => {
    expect(await guest.fail('echo no; false')).toBe('no\n')
    await expect(guest.fail('true')).rejects.toThrow('gateway: succeeded, and should have failed: true')
    await expect(guest.fail('sleep 60', { timeoutMs: 1000 })).rejects.toThrow(
      'gateway: timed out after 1.0 s: sleep 60',
    )
  })

  test('execute takes any exit code; a command that says 124 by itself did not time out', async () => {
    expect(await guest.execute('exit 124')).toMatchObject({ exitCode: 124, timedOut: false })
    expect(await guest.execute('sleep 60', { timeoutMs: 1000 })).toMatchObject({ timedOut: true })
  })

  test('waiting for success tries again, and tells at the end how the last try went', async () => {
    const marker = join(dir, 'marker')
    setTimeout(() => void writeFile(marker, 'there'), 300)
    expect(await guest.waitUntilSucceeds(`cat ${marker}`)).toBe('there')
    expect(await guest.waitUntilFails(`test ! -e ${marker}`)).toBe('')
    await expect(guest.waitUntilSucceeds('echo still; exit 4', { timeoutMs: 3000 })).rejects.toThrow(
      /^gateway: waiting for `echo still; exit 4` to succeed: time is up \(waited \d+\.\d s of 3\.0 s\)\n {4}last: exit code 4\n {4}still\n/,
    )
  })

  test('a restart of the guest ends a command with an error and a wait not at all', async () => {
    const marker = join(dir, 'marker')
    const running = expect(guest.succeed('sleep 60')).rejects.toThrow(
      'gateway: the machine was reset while `sleep 60` ran',
    )
    const waiting = guest.waitUntilSucceeds(`test -e ${marker}`)
    await guest.succeed('true')
    await agent.reconnect('the machine was reset')
    await running
    await writeFile(marker, '')
    await waiting
  })

  test('files go in and out unchanged, with their mode', async () => {
    const content = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index & 0xff))
    const [host, inside, back] = ['host', 'in side', 'back'].map((name) => join(dir, name))
    await writeFile(host!, content)
    await guest.copyIn(host!, inside!, { mode: 0o600 })
    expect((await stat(inside!)).mode & 0o777).toBe(0o600)
    await guest.copyOut(inside!, back!)
    expect((await readFile(back!)).equals(content)).toBe(true)
    await guest.writeFile(inside!, 'text')
    expect(String(await guest.readFile(inside!))).toBe('text')
    await expect(guest.readFile(`${dir}/none`)).rejects.toThrow('No such file or directory')
    await expect(guest.writeFile('/proc/none', 'x')).rejects.toThrow('gateway: could not write /proc/none')
  })

  test('the id of the boot is that of whoever answers', async () => {
    expect(await guest.bootId()).toMatch(/^boot\d$/)
  })
})

describe('waiting while the system starts', () => {
  let dir: string
  let local: LocalGuest
  let agent: Agent
  let guest: LocalShell

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'guest-'))
    await mkdir(join(dir, 'bin'))
    // In place of systemd: `started` and `active` are files, and what it was asked is noted down.
    const systemctl = `#!/bin/sh
echo "$*" >>${dir}/asked
case $* in
is-system-running*)
  [ ! -e ${dir}/endless ] || exit 124
  until [ -e ${dir}/started ]; do sleep 0.05; done ;;
*NJobs) echo NJobs=3 ;;
*)
  state=inactive
  [ ! -e ${dir}/active ] || state=active
  echo LoadState=loaded; echo ActiveState=$state ;;
esac
`
    await writeFile(join(dir, 'bin/systemctl'), systemctl, { mode: 0o755 })
    vi.stubEnv('PATH', `${dir}/bin:${process.env.PATH}`)
    local = await startLocalGuest(dir, 2)
    agent = new Agent(local.socketPaths, () => true)
    await agent.connect()
    guest = new LocalShell(agent)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    agent.disconnect('the test is over')
    local.stop()
    await rm(dir, { recursive: true })
  })

  const asked = async (what: RegExp) =>
    (await readFile(join(dir, 'asked'), 'utf8')).split('\n').filter((line) => what.test(line)).length

  test('while the system starts nobody asks, and the end of the start is noticed at once', async () => {
    setTimeout(async () => {
      await writeFile(join(dir, 'active'), '')
      await writeFile(join(dir, 'started'), '')
    }, 2500)
    await guest.waitForUnit('app.service')
    expect(await asked(/^show .* app\.service$/)).toBe(2)
    expect(await asked(/^is-system-running/)).toBe(1)
  })

  test('when the system has started it is asked now and then, and not for the start again', async () => {
    await writeFile(join(dir, 'started'), '')
    setTimeout(() => void writeFile(join(dir, 'active'), ''), 1000)
    await guest.waitForUnit('app.service')
    expect(await asked(/^is-system-running/)).toBe(1)
  })

  test('a command that has to succeed rests as well, and again when the guest was reset', async () => {
    const look = `echo look >>${dir}/asked; test -e ${dir}/active`
    await writeFile(join(dir, 'started'), '')
    const waiting = guest.waitUntilSucceeds(look, { timeoutMs: 20_000 })
    await vi.waitFor(async () => expect(await asked(/^is-system-running/)).toBe(1), { timeout: 5000 })
    await rm(join(dir, 'started'))
    await agent.reconnect('the machine was reset')
    await vi.waitFor(async () => expect(await asked(/^is-system-running/)).toBe(2), { timeout: 8000 })
    const looks = await asked(/^look/)
    await sleep(2000)
    expect(await asked(/^look/)).toBe(looks)
    await writeFile(join(dir, 'active'), '')
    await writeFile(join(dir, 'started'), '')
    await waiting
    expect(await asked(/^look/)).toBe(looks + 1)
  })

  test('nothing is asked any more when time is up', async () => {
    await writeFile(join(dir, 'endless'), '')
    await expect(guest.waitForUnit('app.service', { timeoutMs: 700 })).rejects.toThrow('time is up')
    await sleep(500)
    const before = await asked(/./)
    await sleep(500)
    expect(await asked(/./)).toBe(before)
  })
})
