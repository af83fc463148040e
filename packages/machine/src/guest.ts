/** Everything one does to a guest through its root shell. How commands get there is the link's business. */
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Reply } from './agent/protocol.ts'
import { GuestGone, indent, MachineError, seconds } from './errors.ts'
import type { CommandOptions, CommandResult, Guest, UnitState, WaitOptions } from './types.ts'
import {
  judgeUnit,
  parseUnitFacts,
  shellQuote,
  startEndedCommand,
  startStillGoesOn,
  unitFactsCommand,
} from './unit-state.ts'
import { Impossible, type Progress, type WaitFrame, waitFor } from './wait.ts'

export interface GuestLink {
  /** Runs one command in a guest that answers, waiting for it until `signal` aborts. */
  run(command: string, timeoutMs: number, signal: AbortSignal): Promise<Reply>
  put(path: string, content: Uint8Array, mode: number, signal: AbortSignal): Promise<Reply>
  frame(what: string, options: WaitOptions, lastLook?: () => Promise<string>): WaitFrame
  /** Resolves when the guest answers. */
  reached(signal: AbortSignal): Promise<string>
  report(): string
  readonly name: string
}

const commandTimeoutMs = 60_000
/** Polls cost the guest's processor, which is emulated: never more than a third of the time. */
const pollIntervalMsMin = 250
/** Of a question that has done its own waiting: it is asked again without a pause. */
const again = Symbol('again')
/** What `timeout` answers when it ended a command, or had to kill it. */
const timeoutExitCodes = [124, 137]

export abstract class GuestShell implements Guest {
  protected abstract readonly link: GuestLink

  async execute(command: string, options: CommandOptions = {}): Promise<CommandResult> {
    const timeoutMs = options.timeoutMs ?? commandTimeoutMs
    const shown = `\`${shorten(command)}\``
    await this.#reach(shown, options)
    const frame = this.link.frame(`${shown} to end`, { ...options, timeoutMs: timeoutMs + 120_000 })
    const started = Date.now()
    const reply = await waitFor(frame, async ({ signal }) => {
      try {
        return await this.link.run(command, timeoutMs, signal)
      } catch (error) {
        if (!(error instanceof GuestGone)) throw error
        throw new GuestGone(`${this.link.name}: ${error.message} while ${shown} ran\n${this.link.report()}`, {
          cause: error,
        })
      }
    })
    const timedOut = timeoutExitCodes.includes(reply.exitCode) && Date.now() - started >= timeoutMs
    return {
      exitCode: reply.exitCode,
      stdout: reply.stdout.toString(),
      stderr: reply.stderr.toString(),
      stdoutBytes: reply.stdout,
      timedOut,
    }
  }

  async succeed(command: string, options?: CommandOptions): Promise<string> {
    const result = await this.execute(command, options)
    if (result.exitCode === 0) return result.stdout
    throw this.#commandError(command, result, options)
  }

  async fail(command: string, options?: CommandOptions): Promise<string> {
    const result = await this.execute(command, options)
    if (result.exitCode !== 0 && !result.timedOut) return result.stdout + result.stderr
    throw this.#commandError(command, result, options)
  }

  waitUntilSucceeds(command: string, options: WaitOptions = {}): Promise<string> {
    return this.#poll(command, `\`${shorten(command)}\` to succeed`, options, (reply) =>
      reply.exitCode === 0 ? reply.stdout.toString() : undefined,
    )
  }

  waitUntilFails(command: string, options: WaitOptions = {}): Promise<string> {
    return this.#poll(command, `\`${shorten(command)}\` to fail`, options, (reply) =>
      reply.exitCode !== 0 ? reply.stdout.toString() + reply.stderr.toString() : undefined,
    )
  }

  async waitForUnit(unit: string, options: WaitOptions & { readonly state?: UnitState } = {}): Promise<void> {
    const wanted = options.state ?? 'active'
    const look = () => this.#describeUnit(unit)
    let doubt = false
    const frame = this.link.frame(`unit ${unit} to be ${wanted}`, options, look)
    await waitFor(frame, (progress) =>
      this.#repeat(progress, async (restWhileStarting) => {
        const reply = await this.link.run(unitFactsCommand(unit), commandTimeoutMs, progress.signal)
        // Early in the boot there is no one to ask yet.
        if (reply.exitCode !== 0) return undefined
        const facts = parseUnitFacts(reply.stdout.toString())
        const verdict = judgeUnit(facts, wanted)
        if (verdict.kind === 'reached') return true
        if (verdict.kind === 'impossible' && (verdict.certain || doubt)) {
          throw new Impossible(verdict.why, await look())
        }
        doubt = verdict.kind === 'impossible'
        return verdict.kind === 'wait' && facts.managerBusy ? await restWhileStarting() : undefined
      }),
    )
  }

  async systemctl(...args: string[]): Promise<string> {
    return await this.succeed(['systemctl', ...args].map(shellQuote).join(' '))
  }

  async failedUnits(): Promise<string[]> {
    const list = await this.succeed('systemctl list-units --state=failed --plain --no-legend')
    return list.split('\n').flatMap((line) => line.split(' ').slice(0, 1).filter(Boolean))
  }

  async bootId(options: WaitOptions = {}): Promise<string> {
    return await waitFor(this.link.frame('the guest to answer', options), ({ signal }) =>
      this.link.reached(signal),
    )
  }

  async writeFile(
    guestPath: string,
    content: string | Uint8Array,
    options: { readonly mode?: number } = {},
  ): Promise<void> {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const what = `${guestPath} to be written (${bytes.byteLength} bytes)`
    await this.#reach(`the copy to ${guestPath}`, {})
    const frame = this.link.frame(what, { timeoutMs: 120_000 + bytes.byteLength / 500 })
    const reply = await waitFor(frame, ({ signal }) =>
      this.link.put(guestPath, bytes, options.mode ?? 0o644, signal),
    )
    if (reply.exitCode === 0) return
    throw new MachineError(
      `${this.link.name}: could not write ${guestPath}: ${reply.stderr.toString().trim()}`,
    )
  }

  async readFile(guestPath: string): Promise<Buffer> {
    const command = `cat -- ${shellQuote(guestPath)}`
    const result = await this.execute(command, { timeoutMs: 600_000 })
    if (result.exitCode === 0) return result.stdoutBytes
    throw this.#commandError(command, result)
  }

  async copyIn(hostPath: string, guestPath: string, options?: { readonly mode?: number }): Promise<void> {
    await this.writeFile(guestPath, await readFile(hostPath), options)
  }

  async copyOut(guestPath: string, hostPath: string): Promise<void> {
    await writeFile(hostPath, await this.readFile(guestPath))
  }

  async #reach(forWhat: string, options: CommandOptions): Promise<void> {
    const { reachTimeoutMs, timeoutMs: _, ...rest } = options
    const timing = reachTimeoutMs === undefined ? rest : { ...rest, timeoutMs: reachTimeoutMs }
    await waitFor(this.link.frame(`the guest to answer, for ${forWhat}`, timing), ({ signal }) =>
      this.link.reached(signal),
    )
  }

  #poll<T>(
    command: string,
    what: string,
    options: WaitOptions,
    judge: (reply: Reply) => T | undefined,
  ): Promise<T> {
    let last: Reply | undefined
    const lastLook = async () => (last ? describeReply(last) : 'it never ended')
    return waitFor(this.link.frame(what, options, lastLook), (progress) =>
      this.#repeat(progress, async (restWhileStarting) => {
        const timeoutMs = Math.min(commandTimeoutMs, Math.max(progress.remainingMs(), 1000))
        last = await this.link.run(command, timeoutMs, progress.signal)
        return judge(last) ?? (await restWhileStarting())
      }),
    )
  }

  /**
   * Asks again until there is an answer; a guest that reboots meanwhile is simply asked again. While the system of the
   * guest starts it has work for its processor, and each question would make the start longer: `ask` can rest then, until
   * the start has ended or for some seconds.
   */
  async #repeat<T>(
    progress: Progress,
    ask: (
      restWhileStarting: () => Promise<typeof again | undefined>,
    ) => Promise<T | typeof again | undefined>,
  ): Promise<T> {
    let boot: string | undefined
    let starting = true
    const restWhileStarting = async () => {
      if (!starting) return undefined
      const rested = await this.link.run(startEndedCommand, commandTimeoutMs, progress.signal)
      starting = startStillGoesOn(rested.exitCode)
      return again
    }
    for (;;) {
      const answering = await this.link.reached(progress.signal)
      progress.signal.throwIfAborted()
      if (answering !== boot) starting = true
      boot = answering
      const started = Date.now()
      try {
        const answer = await ask(restWhileStarting)
        if (answer === again) continue
        if (answer !== undefined) return answer
      } catch (error) {
        if (!(error instanceof GuestGone)) throw error
      }
      const pause = Math.max(pollIntervalMsMin, 2 * (Date.now() - started))
      await sleep(Math.min(pause, 3000), undefined, { signal: progress.signal })
    }
  }

  async #describeUnit(unit: string): Promise<string> {
    const name = shellQuote(unit)
    const command = `systemctl status -n 0 -l --no-pager -- ${name}; journalctl -b -u ${name} -n 25 -o short-monotonic --no-pager -q; systemctl list-jobs --no-pager`
    const reply = await this.link.run(command, 20_000, AbortSignal.timeout(20_000))
    return `${reply.stdout}${reply.stderr}`
  }

  #commandError(command: string, result: CommandResult, options: CommandOptions = {}): MachineError {
    const how = result.timedOut
      ? `timed out after ${seconds(options.timeoutMs ?? commandTimeoutMs)}`
      : result.exitCode === 0
        ? 'succeeded, and should have failed'
        : `exit code ${result.exitCode}`
    const parts = [`${this.link.name}: ${how}: ${command}`, indent(result.stdout), indent(result.stderr)]
    return new MachineError(
      [...parts.filter((part) => part.trim() !== ''), this.link.report()].filter(Boolean).join('\n'),
    )
  }
}

function describeReply(reply: Reply): string {
  const output = `${reply.stdout}${reply.stderr}`.trimEnd()
  return `last: exit code ${reply.exitCode}${output === '' ? ', no output' : `\n${output}`}`
}

function shorten(command: string): string {
  const line = command.trim().split('\n')[0]!
  return line.length > 80 || line !== command.trim() ? `${line.slice(0, 77)}...` : line
}
