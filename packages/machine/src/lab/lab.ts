/** A lab: one namespace with the switches in it, one for each host, cables between. Nothing leads out of it. */
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { MachineError } from '../errors.ts'
import { environmentOf, runChecked } from '../run.ts'
import { makeSocketDir, removeSocketDir } from '../sockets.ts'
import type { Bridge, Lab, LabCard, LabHost, LabOptions, Plug } from '../types.ts'
import { startCapture } from './capture.ts'
import { NamespaceHost } from './host.ts'
import { type Namespaces, openHostNamespaces, openLabNamespaces } from './namespaces.ts'
import { plugRelay, plugTap, tapsAllowed } from './plug.ts'
import { bridgeLines, cableLines, cardLines, checkName } from './wiring.ts'

const deadlineMsDefault = 30 * 60_000

export async function createLab(options: LabOptions): Promise<Lab> {
  const dir = resolve(options.dir)
  await mkdir(dir, { recursive: true })
  const namespaces = await openLabNamespaces(options.programs)
  const lab = new NamespaceLab(options, dir, namespaces, await makeSocketDir('lab-'))
  try {
    // The switches themselves are mute: no address, no neighbour discovery of their own on the wires.
    await lab.sysctl(namespaces, {
      'net/ipv6/conf/all/disable_ipv6': '1',
      'net/ipv6/conf/default/disable_ipv6': '1',
    })
  } catch (error) {
    await lab[Symbol.asyncDispose]()
    throw error
  }
  return lab
}

class NamespaceLab implements Lab {
  readonly dir: string
  readonly #options: LabOptions
  readonly #namespaces: Namespaces
  readonly #socketDir: string
  readonly #bridges = new Map<string, Bridge>()
  readonly #hosts = new Map<string, { host: NamespaceHost; namespaces: Namespaces }>()
  readonly #cleanups: (() => PromiseLike<unknown>)[] = []
  readonly #relayed = !tapsAllowed()
  #ports = 0

  constructor(options: LabOptions, dir: string, namespaces: Namespaces, socketDir: string) {
    this.#options = options
    this.dir = dir
    this.#namespaces = namespaces
    this.#socketDir = socketDir
  }

  async bridge(name: string): Promise<Bridge> {
    checkName('bridge', name)
    const existing = this.#bridges.get(name)
    if (existing) return existing
    await this.#ip(this.#namespaces, bridgeLines(name))
    const bridge: Bridge = {
      name,
      capture: async (file, filter = '') => {
        const context = { ...this.#common, enter: (argv: readonly string[]) => this.enter(argv) }
        const capture = await startCapture(context, name, resolve(file), filter)
        this.#cleanups.push(() => capture[Symbol.asyncDispose]())
        return capture
      },
    }
    this.#bridges.set(name, bridge)
    return bridge
  }

  async host(name: string, cards: Readonly<Record<string, LabCard>>): Promise<LabHost> {
    checkName('host', name)
    if (this.#hosts.has(name)) throw new MachineError(`the lab has a host ${name} already`)
    for (const bridge of Object.keys(cards)) this.#mustBridge(bridge)
    const namespaces = await openHostNamespaces(this.#options.programs, this.#namespaces)
    this.#cleanups.push(() => namespaces.close())
    // What this machine forwards must not decide what a lab's host does.
    await this.sysctl(namespaces, { 'net/ipv4/ip_forward': '0', 'net/ipv6/conf/all/forwarding': '0' })
    const wires = Object.entries(cards)
    await this.#ip(
      this.#namespaces,
      wires.flatMap(([bridge, card]) => cableLines(bridge, `port${++this.#ports}`, card, namespaces.pid)),
    )
    await this.#ip(namespaces, [
      'link set lo up',
      ...wires.flatMap(([bridge, card]) => cardLines(bridge, card)),
    ])
    if (this.#relayed) await this.#completeChecksums(namespaces, Object.keys(cards))
    const host = await NamespaceHost.open({
      ...this.#common,
      name,
      namespaces,
      dir: join(this.dir, name),
      labDir: this.dir,
    })
    this.#hosts.set(name, { host, namespaces })
    return host
  }

  enter(argv: readonly string[]): readonly string[] {
    return this.#namespaces.enter(argv)
  }

  async plug(bridge: string): Promise<Plug> {
    this.#mustBridge(bridge)
    const context = {
      ...this.#common,
      enter: (argv: readonly string[]) => this.enter(argv),
      ip: (lines: readonly string[]) => this.#ip(this.#namespaces, lines),
      socketDir: this.#socketDir,
      logPath: join(this.dir, 'plugs.log'),
    }
    return await (this.#relayed ? plugRelay : plugTap)(context, bridge, ++this.#ports)
  }

  /** Every step is tried, whatever the others do; what the namespaces held ends with them. */
  async [Symbol.asyncDispose](): Promise<void> {
    const processes = [...this.#hosts.values()].flatMap(({ host }) => [...host.processes])
    const results = [
      ...(await Promise.allSettled(processes.map((process) => process.stop()))),
      ...(await Promise.allSettled(this.#cleanups.map((cleanup) => cleanup()))),
      ...(await Promise.allSettled([this.#namespaces.close()])),
      ...(await Promise.allSettled([removeSocketDir(this.#socketDir)])),
    ]
    const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason)
    if (failed.length > 0) throw new AggregateError(failed, 'the lab was not tidied up completely')
  }

  /** Written from inside, as /proc/sys/net shows the namespace of the process that looks. */
  async sysctl(namespaces: Namespaces, settings: Readonly<Record<string, string>>): Promise<void> {
    const { programs } = this.#options
    for (const [name, value] of Object.entries(settings)) {
      await runChecked(namespaces.enter([...programs.argv('tee'), `/proc/sys/${name}`]), {
        purpose: `set ${name} in the lab`,
        stdin: value,
        env: environmentOf(programs),
      })
    }
  }

  get #common() {
    const { programs, deadlineMs = deadlineMsDefault } = this.#options
    return { programs, deadlineMs }
  }

  #mustBridge(name: string): void {
    if (this.#bridges.has(name)) return
    throw new MachineError(
      `the lab has no bridge ${name}; there are ${[...this.#bridges.keys()].join(', ') || 'none'}`,
    )
  }

  async #ip(namespaces: Namespaces, lines: readonly string[]): Promise<void> {
    const { programs } = this.#options
    await runChecked(namespaces.enter([...programs.argv('ip'), '-batch', '-']), {
      purpose: `wire the lab (${lines.join('; ')})`,
      stdin: `${lines.join('\n')}\n`,
      env: environmentOf(programs),
    })
  }

  /** A relay carries bare frames: what the kernel would leave to a network card must be done before. */
  async #completeChecksums(namespaces: Namespaces, cards: readonly string[]): Promise<void> {
    const { programs } = this.#options
    for (const card of cards) {
      await runChecked(
        namespaces.enter([...programs.argv('ethtool'), '-K', card, 'tx', 'off', 'tso', 'off', 'gso', 'off']),
        { purpose: `switch checksum offload off on ${card}`, env: environmentOf(programs) },
      )
    }
  }
}
