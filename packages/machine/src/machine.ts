/** A machine: power, console, disks, and the guest behind them. Composed here, done in the modules beside. */
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Reply } from './agent/protocol.ts'
import type { Memory } from './arguments.ts'
import { ConsoleBuffer } from './console.ts'
import { GuestGone, indent, MachineError, messageOf } from './errors.ts'
import { type GuestLink, GuestShell } from './guest.ts'
import { consoleLog, hardwareOf, type MachineDisks, type PowerSwitch, qemuLog } from './options.ts'
import { type PowerOn, powerOn } from './power.ts'
import { saveState } from './state/save.ts'
import { tailOfFile } from './tail.ts'
import type { ConsoleMatch, Disk, Machine, MachineOptions, Qmp, SavedState, WaitOptions } from './types.ts'
import { waitFor } from './wait.ts'

const waitTimeoutMs = 180_000
const neverStarted = 'it was never started'

export class QemuMachine extends GuestShell implements Machine {
  readonly name: string
  readonly dir: string
  readonly console: ConsoleBuffer
  readonly options: MachineOptions
  readonly disks: MachineDisks
  protected readonly link: GuestLink
  readonly #qemuLogPath: string
  readonly #power: PowerSwitch
  readonly #watchers = new Set<() => void>()
  #run: PowerOn | undefined
  #lastEnd = neverStarted
  /** Settles when the power-on that is under way or the run that goes on is over. */
  #switching: Promise<unknown> = Promise.resolve()
  #powerOnPosition = 0
  #resets = 0

  constructor(options: MachineOptions, disks: MachineDisks, power: PowerSwitch) {
    super()
    this.options = options
    this.name = options.name
    this.dir = options.dir
    this.disks = disks
    this.#power = power
    this.console = new ConsoleBuffer(join(options.dir, consoleLog))
    this.#qemuLogPath = join(options.dir, qemuLog)
    this.link = this.#makeLink()
    this.console.subscribe(() => this.#changed())
  }

  get disk(): Disk {
    return present(this.disks.system, `${this.name} has no system disk`)
  }

  get sdCard(): Disk {
    return present(this.disks.sdCard, `${this.name} has no SD card`)
  }

  get extraDisks(): readonly Disk[] {
    return this.disks.extra
  }

  get running(): boolean {
    return this.#run !== undefined
  }

  get qmp(): Qmp | undefined {
    return this.#run?.qmp
  }

  async start(): Promise<void> {
    await this.powerOn(this.#freshMemory(), false)
    await this.#mustRun().qmp.execute('cont')
    this.options.log?.(`${this.name}: powered on`)
  }

  /** Starts QEMU paused; for `start` and for restoring a state. */
  async powerOn(memory: Memory, incoming: boolean): Promise<void> {
    if (this.#power.on) throw new MachineError(`${this.name} is running already`)
    if (this.disks.recorder !== undefined && this.#lastEnd !== neverStarted) {
      throw new MachineError(`${this.name} is recorded: it is switched on once, or its log would begin anew`)
    }
    this.#power.on = true
    this.#powerOnPosition = this.console.position
    this.#resets = 0
    const starting = powerOn({
      options: this.options,
      hardware: hardwareOf(this.options),
      systemDisk: this.disks.system,
      sdCard: this.disks.sdCard,
      recorder: this.disks.recorder,
      extraDisks: this.disks.extra,
      memory,
      console: this.console,
      qemuLogPath: this.#qemuLogPath,
      incoming,
      onReset: () => {
        this.#resets += 1
        this.console.markBoot()
      },
    })
    this.#switching = starting.catch(() => {})
    try {
      const run = await starting
      this.#run = run
      this.#switching = run.ended.then((how) => {
        this.#run = undefined
        this.#power.on = false
        this.#lastEnd = `QEMU: ${how}`
        this.#changed()
      })
    } catch (error) {
      this.#power.on = false
      throw new MachineError(`${this.name}: QEMU did not start: ${messageOf(error)}\n${this.report()}`, {
        cause: error,
      })
    }
  }

  async crash(): Promise<void> {
    this.#mustRun()
    await this.stop()
    this.options.log?.(`${this.name}: power cut`)
  }

  async stop(): Promise<void> {
    // A power-on that is under way is let through first: only then there is something to switch off.
    if (!this.#run) await this.#switching
    await this.#run?.kill()
    await this.#switching
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async reset(): Promise<void> {
    await this.#mustRun().qmp.execute('system_reset')
  }

  async pause(): Promise<void> {
    await this.#mustRun().qmp.execute('stop')
  }

  async resume(): Promise<void> {
    await this.#mustRun().qmp.execute('cont')
  }

  async shutdown(options: WaitOptions = {}): Promise<void> {
    const run = this.#mustRun()
    if (run.agent) await this.#order('systemctl poweroff', options)
    else await run.qmp.execute('system_powerdown')
    await this.waitForPowerOff(options)
  }

  async reboot(options: WaitOptions = {}): Promise<void> {
    const since = await this.bootId(options)
    await this.#order('systemctl reboot', options)
    await this.waitForReboot({ ...options, since })
  }

  waitForReboot(options: WaitOptions & { readonly since?: string } = {}): Promise<string> {
    const since = options.since ?? this.#run?.agent?.lastBootId
    const what = `another boot than ${since ?? '(none yet)'}`
    return waitFor(this.link.frame(what, options), async ({ signal }) => {
      for (;;) {
        const boot = await this.link.reached(signal)
        if (boot !== since) return boot
        await sleep(100, undefined, { signal })
      }
    })
  }

  waitForPowerOff(options: WaitOptions = {}): Promise<void> {
    const frame = this.link.frame('power-off', options)
    const onImpossible = (tell: (why: string) => void) =>
      this.#watch(() => this.running && this.#panicked(options, tell))
    return waitFor({ ...frame, onImpossible }, async () => {
      await this.#switching
    })
  }

  waitForConsoleText(
    pattern: RegExp | string,
    options: WaitOptions & { readonly from?: number } = {},
  ): Promise<ConsoleMatch> {
    const from = options.from ?? this.#powerOnPosition
    const frame = this.link.frame(`console text ${pattern}`, options)
    // What is there counts, even when the machine has gone since: look before asking whether it still can come.
    const found = this.console.find(pattern, from)
    if (found) return Promise.resolve(found)
    return waitFor(
      frame,
      ({ signal }) =>
        new Promise<ConsoleMatch>((resolve) => {
          const stop = this.console.subscribe(() => {
            const match = this.console.find(pattern, from)
            if (!match) return
            stop()
            resolve(match)
          })
          signal.addEventListener('abort', stop, { once: true })
        }),
    )
  }

  async sendConsole(text: string | Uint8Array): Promise<void> {
    this.#mustRun().consoleSocket.write(text)
  }

  async screenshot(file: string): Promise<void> {
    if (!this.options.display) throw new MachineError(`${this.name} has no display: set display: true`)
    await this.#mustRun().qmp.execute('screendump', { filename: resolve(file), format: 'png' })
  }

  forwardedPort(guestPort: number): number {
    const port = this.#mustRun().forwards.get(guestPort)
    return present(port, `${this.name}: port ${guestPort} of the guest is not forwarded`)
  }

  saveState(dir: string): Promise<SavedState> {
    return saveState(this, this.#mustRun().qmp, dir)
  }

  get ramPath(): string {
    return join(this.dir, 'ram')
  }

  report(): string {
    const parts = [
      section('console', this.console.tail(15)),
      section('QEMU', tailOfFile(this.#qemuLogPath, 8)),
      this.#resets === 0 ? '' : `  resets since power-on: ${this.#resets}`,
      `  console log: ${this.console.logPath}   QEMU log: ${this.#qemuLogPath}`,
    ]
    return parts.filter(Boolean).join('\n')
  }

  /** A command that ends the boot it runs in; its own answer may get lost with it. */
  async #order(command: string, options: WaitOptions): Promise<void> {
    try {
      await this.succeed(command, { ...options, timeoutMs: 60_000 })
    } catch (error) {
      if (!(error instanceof GuestGone)) throw error
    }
  }

  #freshMemory(): Memory {
    return this.options.saveable ? { kind: 'file', path: this.ramPath, shared: true } : { kind: 'anonymous' }
  }

  #mustRun(): PowerOn {
    return present(this.#run, `${this.name} is off: ${this.#lastEnd}`)
  }

  #makeLink(): GuestLink {
    const agent = () => {
      const { agent: found } = this.#mustRun()
      return present(found, `${this.name} was made without an agent, so no command can be run in it`)
    }
    return {
      name: this.name,
      report: () => this.report(),
      run: async (command, timeoutMs, signal): Promise<Reply> => agent().run(command, timeoutMs, signal),
      put: async (path, content, mode, signal) => agent().put(path, content, mode, signal),
      reached: async (signal) => agent().reached(signal),
      frame: (what, options, lastLook) => ({
        subject: this.name,
        what,
        timeoutMs: options.timeoutMs ?? waitTimeoutMs,
        signal: options.signal,
        lastLook,
        report: () => this.report(),
        onImpossible: (tell) =>
          this.#watch(() => {
            if (!this.running) {
              tell(`the machine is off (${this.#lastEnd})`)
              return true
            }
            return this.#panicked(options, tell)
          }),
      }),
    }
  }

  #panicked(options: WaitOptions, tell: (why: string) => void): boolean {
    const fatal = (options.panics ?? this.options.panics ?? 'fail') === 'fail'
    if (!fatal || this.console.panic === undefined) return false
    tell(`the system gave up: ${this.console.panic}`)
    return true
  }

  /** Runs `check` now and at every change, until it says that it has told. */
  #watch(check: () => boolean): () => void {
    if (check()) return () => {}
    const watcher = () => {
      if (check()) this.#watchers.delete(watcher)
    }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}

function section(title: string, text: string): string {
  return text.trim() === '' ? '' : `  ${title}:\n${indent(text)}`
}

function present<T>(value: T | undefined, otherwise: string): T {
  if (value === undefined) throw new MachineError(otherwise)
  return value
}
