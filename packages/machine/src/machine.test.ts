import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMachine } from './create-machine.ts'
import { writeEchoFirmware } from './fixtures/echo-firmware.ts'
import { findHolder } from './fixtures/holder.ts'
import { missing, testPrograms } from './fixtures/programs.ts'
import { parseForwards } from './power.ts'
import { restore } from './state/restore.ts'
import type { Machine, MachineOptions } from './types.ts'

const MiB = 1024 * 1024

test('forwards are read from what QEMU shows', () => {
  const shown = `Hub -1 (net0):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]  26       127.0.0.1 41985       10.0.2.15    22     0     0
  TCP[ESTABLISHED]   27       127.0.0.1 51000       10.0.2.15    80     0     0
`
  expect([...parseForwards(shown)]).toEqual([[22, 41985]])
})

const absent = missing('qemu-system-aarch64', 'qemu-img', 'setpriv', 'sh', 'cp')

/** The guest is a few instructions of our own (fixtures/echo-firmware.s), so that power and console can be tried fast. */
describe.skipIf(absent)(`a machine in a real QEMU${absent ? ` (skipped: ${absent})` : ''}`, () => {
  let dir: string
  let machines: Machine[]

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'machine-'))
    machines = []
  })
  afterEach(async () => {
    for (const machine of machines) await machine.stop()
    await rm(dir, { recursive: true })
  })

  async function make(overrides: Partial<MachineOptions> = {}): Promise<Machine> {
    const machine = await createMachine({
      name: 'echo',
      programs: testPrograms(),
      dir: join(dir, 'echo'),
      firmware: await writeEchoFirmware(dir),
      memoryBytes: 64 * MiB,
      agent: false,
      nics: [],
      ...overrides,
    })
    machines.push(machine)
    return machine
  }

  async function started(overrides: Partial<MachineOptions> = {}): Promise<Machine> {
    const machine = await make(overrides)
    await machine.start()
    await machine.waitForConsoleText('ready\n')
    return machine
  }

  async function pidOf(machine: Machine): Promise<number> {
    // The monitor has no word for it; the console's log is what only this QEMU holds open.
    return await findHolder(machine.console.logPath)
  }

  test('nothing of the console is missed, and what is typed arrives', async () => {
    const machine = await started()
    expect(machine.console.text).toMatch(/^ready\n/)
    const from = machine.console.position
    await machine.sendConsole('hell!')
    expect((await machine.waitForConsoleText(/h(el+)!/, { from })).groups).toEqual(['ell'])
    const raw = await readFile(machine.console.logPath, 'latin1')
    expect(raw).toContain('\x1b[1mready\x1b[0m\r\n')
  })

  test('a power cut ends QEMU; the next power-on starts from the beginning', async () => {
    const machine = await started()
    await machine.sendConsole('cc')
    await machine.waitForConsoleText('12')
    const pid = await pidOf(machine)
    await machine.crash()
    expect(existsSync(`/proc/${pid}/exe`)).toBe(false)
    expect(machine.running).toBe(false)
    const from = machine.console.position
    await machine.start()
    await machine.waitForConsoleText('ready')
    await machine.sendConsole('c')
    await machine.waitForConsoleText(/1$/, { from })
  })

  test('reset goes back to the first instruction, from outside and from inside', async () => {
    const machine = await started()
    for (const reset of [() => machine.reset(), () => machine.sendConsole('r')]) {
      const from = machine.console.position
      await reset()
      await machine.waitForConsoleText('ready', { from })
    }
  })

  test('the machine can power itself off, and a wait for anything else then ends at once', async () => {
    const machine = await started()
    const never = machine.waitForConsoleText('never', { timeoutMs: 60_000 })
    const off = machine.waitForPowerOff()
    await machine.sendConsole('o')
    await off
    await expect(never).rejects.toThrow(
      /^echo: waiting for console text never: the machine is off \(QEMU: exit code 0\) \(waited .*\n {2}console:\n {4}ready\n/,
    )
    await expect(machine.sendConsole('x')).rejects.toThrow('echo is off: QEMU: exit code 0')
  })

  test('a panic ends waits unless it is expected, and is forgotten by a reset', async () => {
    const machine = await started()
    await machine.sendConsole('p')
    await machine.waitForConsoleText(/asked to\n/, { panics: 'expected' })
    await expect(machine.waitForConsoleText('never', { timeoutMs: 60_000 })).rejects.toThrow(
      'echo: waiting for console text never: the system gave up: Kernel panic - not syncing: asked to',
    )
    const from = machine.console.position
    await machine.reset()
    await machine.waitForConsoleText('ready', { from, panics: 'expected' })
    await machine.sendConsole('fine')
    await machine.waitForConsoleText('fine', { from })
  })

  test('a deadline ends a run that everybody forgot', async () => {
    const machine = await started({ deadlineMs: 1500 })
    await expect(machine.waitForConsoleText('never', { timeoutMs: 60_000 })).rejects.toThrow(
      'the machine is off (QEMU: killed at its deadline of 1.5 s)',
    )
  })

  test('pause stops the guest, resume lets it go on', async () => {
    const machine = await started()
    await machine.pause()
    await machine.sendConsole('c')
    await expect(machine.waitForConsoleText('1', { timeoutMs: 300 })).rejects.toThrow('time is up')
    await machine.resume()
    await machine.waitForConsoleText('1')
  })

  test("QEMU's own complaint is in the error when it does not start", async () => {
    const machine = await make({ extraArguments: ['-device', 'no-such-device'] })
    await expect(machine.start()).rejects.toThrow(/echo: QEMU did not start: [\s\S]*no-such-device/)
    expect(machine.running).toBe(false)
  })

  test('stop works in every state and waits for a power-on that is under way', async () => {
    const machine = await make()
    await machine.stop()
    const starting = machine.start().catch(() => {})
    await machine.stop()
    await starting
    expect(machine.running).toBe(false)
    await machine.start()
    await expect(machine.start()).rejects.toThrow('echo is running already')
  })

  test('disks can be touched only while the machine is off; a given file is used in place', async () => {
    const machine = await make({ disk: { sizeBytes: MiB }, sdCard: { sizeBytes: MiB }, watchdog: true })
    await machine.disk.write(0, Buffer.from('here'))
    await machine.start()
    await expect(machine.disk.read(0, 1)).rejects.toThrow('echo is running; stop or crash it first')
    await machine.crash()
    expect(String(await machine.disk.read(0, 4))).toBe('here')
    expect(() => machine.extraDisks[0]!.path).toThrow()
    const second = await make({ name: 'second', dir: join(dir, 'second'), disk: { file: machine.disk.path } })
    expect(second.disk.path).toBe(machine.disk.path)
    expect(() => second.sdCard).toThrow('second has no SD card')
  })

  test('two machines cannot write the same disk', async () => {
    const machine = await make({ disk: { sizeBytes: MiB } })
    const other = await make({ name: 'other', dir: join(dir, 'other'), disk: { file: machine.disk.path } })
    await machine.start()
    await expect(other.start()).rejects.toThrow(/other: QEMU did not start: [\s\S]*lock/)
  })

  test('a forwarded port is a free one of 127.0.0.1, and leads into QEMU', async () => {
    const machine = await started({ nics: [{ kind: 'user', forwards: [{ guestPort: 22 }] }] })
    const socket = connect(machine.forwardedPort(22), '127.0.0.1')
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    socket.destroy()
    expect(() => machine.forwardedPort(80)).toThrow('echo: port 80 of the guest is not forwarded')
  })

  test('a screenshot is a PNG', async () => {
    const machine = await started({ display: true })
    const file = join(dir, 'screen.png')
    await machine.screenshot(file)
    expect((await readFile(file)).subarray(1, 4).toString()).toBe('PNG')
    await expect((await make()).screenshot(file)).rejects.toThrow('echo has no display')
  })

  test('a saved state can be forked many times, and the forks do not see each other', async () => {
    const machine = await started({
      saveable: true,
      disk: { sizeBytes: 64 * MiB },
      sdCard: { sizeBytes: MiB },
    })
    await machine.sendConsole('cc')
    await machine.waitForConsoleText('12')
    const saved = await machine.saveState(join(dir, 'state'))
    const fork = async (name: string) => {
      const forked = await restore(saved, { name, programs: testPrograms(), dir: join(dir, name) })
      machines.push(forked)
      return forked
    }
    const [first, second] = await Promise.all([fork('first'), fork('second')])
    await first.sendConsole('ccc')
    await first.waitForConsoleText('345')
    for (const other of [machine, second]) {
      const from = other.console.position
      await other.sendConsole('c')
      expect((await other.waitForConsoleText(/\d/, { from })).text).toBe('3')
    }
    // A fork is a machine like any other: after a power cut it boots from its own disk.
    await first.crash()
    await first.disk.write(0, Buffer.from('mine'))
    await first.start()
    await first.waitForConsoleText('ready')
    await second.crash()
    expect([...(await second.disk.read(0, 4))]).toEqual([0, 0, 0, 0])
    expect((await stat(join(saved.dir, 'ram'))).blocks * 512).toBeLessThan(16 * MiB)
  })

  test('only what was made for it can be saved, and only a saved machine restored', async () => {
    const machine = await started()
    await expect(machine.saveState(join(dir, 'state'))).rejects.toThrow('make it with saveable: true')
    const options = { name: 'fork', programs: testPrograms(), dir: join(dir, 'fork') }
    await expect(restore({ dir: join(dir, 'nothing') }, options)).rejects.toThrow('holds no saved machine')
  })

  test.each<[string, Partial<MachineOptions>, string]>([
    ['a name for no file', { name: 'Gate way' }, '"Gate way" is no machine name'],
    ['two ways to start', { kernel: { image: '/k', commandLine: '' } }, 'give either firmware or kernel'],
    [
      'a bridge of no lab',
      { nics: [{ kind: 'bridge', bridge: 'wan' }] },
      'needs the lab that the bridge is in',
    ],
    [
      'a recorder without a disk',
      { record: '/writes.log', sdCard: { sizeBytes: MiB } },
      'has a disk from an image and a card of zeros',
    ],
  ])('%s is an error before anything is made', async (_what, options, message) => {
    await expect(make(options)).rejects.toThrow(message)
    expect(existsSync(join(dir, 'echo'))).toBe(false)
  })

  test('no guest answers a command: the error says what was asked and shows the console', async () => {
    const machine = await started({ agent: true })
    await expect(machine.succeed('uname -a', { reachTimeoutMs: 300 })).rejects.toThrow(
      /^echo: waiting for the guest to answer, for `uname -a`: time is up \(waited 0.3 s of 0.3 s\)\n {2}console:\n {4}ready\n {2}console log: .*console\.log {3}QEMU log: /,
    )
    const silent = await started({ name: 'silent', dir: join(dir, 'silent') })
    await expect(silent.succeed('true')).rejects.toThrow('silent was made without an agent')
  })
})
