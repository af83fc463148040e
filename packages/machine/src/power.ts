/** One power-on: a QEMU process with its control connection, its console and its agent, from start to end. */
import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from './agent/agent.ts'
import { agentCredentials } from './agent/script.ts'
import {
  type AttachedDisk,
  credentialName,
  type Hardware,
  type Memory,
  qemuArguments,
  type Recorder,
  socketNames,
} from './arguments.ts'
import { type Child, startChild } from './child.ts'
import type { ConsoleBuffer } from './console.ts'
import { QmpClient } from './qmp.ts'
import { connectWhenThere, makeSocketDir, removeSocketDir } from './sockets.ts'
import type { MachineOptions, Plug } from './types.ts'

export interface PowerSpec {
  readonly options: MachineOptions
  readonly hardware: Hardware
  readonly systemDisk: AttachedDisk | undefined
  readonly sdCard: AttachedDisk | undefined
  readonly recorder: Recorder | undefined
  readonly extraDisks: readonly AttachedDisk[]
  readonly memory: Memory
  readonly console: ConsoleBuffer
  readonly qemuLogPath: string
  readonly incoming: boolean
  /** The guest was reset, by itself or by us. */
  readonly onReset: () => void
}

export interface PowerOn {
  readonly qmp: QmpClient
  readonly agent: Agent | undefined
  /** Guest port to host port. */
  readonly forwards: ReadonlyMap<number, number>
  readonly consoleSocket: Socket
  /** QEMU is gone and everything that belonged to it is tidied up; tells how it ended. */
  readonly ended: Promise<string>
  kill(): Promise<void>
}

const deadlineMsDefault = 30 * 60_000
const startLimitMs = 60_000
const lastWordsMs = 2_000

/** Starts QEMU, paused. The guest has not run a single instruction when this returns. */
export async function powerOn(spec: PowerSpec): Promise<PowerOn> {
  const { options, hardware } = spec
  const socketDir = await makeSocketDir('vm-')
  const plugs: (Plug | undefined)[] = []
  let child: Child | undefined
  const tidy = async () => {
    await child?.kill()
    await Promise.allSettled(plugs.map((plug) => plug?.[Symbol.asyncDispose]()))
    await removeSocketDir(socketDir)
  }
  try {
    for (const nic of options.nics ?? []) {
      plugs.push(nic.kind === 'bridge' ? await options.lab?.plug(nic.bridge) : undefined)
    }
    const line = qemuArguments({
      name: options.name,
      hardware,
      socketDir,
      consoleLogPath: spec.console.logPath,
      firmware: options.firmware,
      kernel: options.kernel,
      systemDisk: spec.systemDisk,
      sdCard: spec.sdCard,
      recorder: spec.recorder,
      extraDisks: spec.extraDisks,
      nics: options.nics ?? [],
      plugs: plugs.map((plug) => plug?.netdev),
      memory: spec.memory,
      firmwareConfig: await writeCredentials(options, hardware, socketDir),
      incoming: spec.incoming,
      extra: options.extraArguments ?? [],
    })
    const lab = options.lab
    const started = await startChild({
      programs: options.programs,
      argv: [...options.programs.argv('qemu-system-aarch64'), ...line],
      logPath: spec.qemuLogPath,
      deadlineMs: options.deadlineMs ?? deadlineMsDefault,
      env: { TMPDIR: socketDir },
      ...(lab === undefined ? {} : { enter: (argv: readonly string[]) => lab.enter(argv) }),
    })
    child = started
    const limits = { timeoutMs: startLimitMs, stillPossible: () => started.running }
    const qmp = await QmpClient.negotiate(await connectWhenThere(join(socketDir, socketNames.qmp), limits))
    const consoleSocket = await connectWhenThere(join(socketDir, socketNames.console), limits)
    consoleSocket.on('error', () => {})
    consoleSocket.on('data', (bytes: Buffer) => spec.console.receive(bytes))
    const consoleEnd = new Promise<void>((resolve) => consoleSocket.once('close', () => resolve()))
    spec.console.markBoot()
    for (const plug of plugs) await plug?.connect()
    const agent =
      hardware.agentLanes === 0
        ? undefined
        : new Agent(
            Array.from({ length: hardware.agentLanes }, (_, index) =>
              join(socketDir, socketNames.lane(index)),
            ),
            limits.stillPossible,
          )
    await agent?.connect()
    qmp.onEvent(({ name }) => {
      if (name !== 'RESET') return
      spec.onReset()
      // What the old boot left in the connections goes with them. Fails only when QEMU has just ended.
      agent?.reconnect('the machine was reset').catch(() => {})
    })
    const ended = started.exited.then(async (how) => {
      // The guest's last words may still be on their way.
      await Promise.race([consoleEnd, sleep(lastWordsMs, undefined, { ref: false })])
      agent?.disconnect(`the machine is off (QEMU: ${how})`)
      qmp.close()
      await tidy()
      return how
    })
    return {
      qmp,
      agent,
      forwards: await readForwards(qmp, options),
      consoleSocket,
      ended,
      kill: () => started.kill(),
    }
  } catch (error) {
    await tidy()
    throw error
  }
}

async function writeCredentials(options: MachineOptions, hardware: Hardware, dir: string) {
  const all: { name: string; content: string | Uint8Array }[] = [
    ...(hardware.agentLanes > 0 ? agentCredentials(hardware.agentLanes) : []),
    ...Object.entries(options.credentials ?? {}).map(([name, content]) => ({ name, content })),
  ]
  return await Promise.all(
    all.map(async ({ name, content }, index) => {
      const path = join(dir, `credential${index}`)
      await writeFile(path, content)
      return { name: credentialName(name), path }
    }),
  )
}

/** QEMU picks free ports itself, so that machines started at the same moment never collide; ask which. */
async function readForwards(qmp: QmpClient, options: MachineOptions): Promise<Map<number, number>> {
  if (!options.nics?.some((nic) => nic.kind === 'user' && nic.forwards?.length)) return new Map()
  const answer = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' })
  return parseForwards(String(answer))
}

/** Lines such as `TCP[HOST_FORWARD]  14  127.0.0.1 43210  10.0.2.15  22  0  0`. */
export function parseForwards(usernet: string): Map<number, number> {
  const rows = usernet.matchAll(/TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)/g)
  return new Map([...rows].map(([, host, guest]) => [Number(guest), Number(host)]))
}
