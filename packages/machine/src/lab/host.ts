import { cp, lstat, mkdir, readlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startChild } from '../child.ts'
import { MachineError } from '../errors.ts'
import { describeFailure, environmentOf, run } from '../run.ts'
import type { CommandResult, LabHost, LabProcess, LabRunOptions, Programs } from '../types.ts'
import { waitFor } from '../wait.ts'
import type { Namespaces } from './namespaces.ts'
import { labProcess } from './process.ts'
import { sandboxArguments, stateFolders, topLinks } from './sandbox.ts'

export interface HostContext {
  readonly name: string
  readonly programs: Programs
  readonly namespaces: Namespaces
  /** This host's own folder. */
  readonly dir: string
  /** The lab's folder, which all its programs see. */
  readonly labDir: string
  readonly deadlineMs: number
}

const waitTimeoutMs = 60_000
const pollIntervalMs = 200

export class NamespaceHost implements LabHost {
  readonly name: string
  readonly dir: string
  readonly processes = new Set<LabProcess>()
  readonly #context: HostContext
  readonly #links: readonly { name: string; target: string }[]
  #logs = 0

  static async open(context: HostContext): Promise<NamespaceHost> {
    await prepareState(context)
    return new NamespaceHost(context, await findLinks(context.programs.rootDir ?? '/'))
  }

  private constructor(context: HostContext, links: readonly { name: string; target: string }[]) {
    this.#context = context
    this.#links = links
    this.name = context.name
    this.dir = context.dir
  }

  async run(argv: readonly string[], options: LabRunOptions = {}): Promise<CommandResult> {
    const { programs, namespaces } = this.#context
    return await run(namespaces.enter(this.#sandboxed(argv, options)), {
      env: environmentOf(programs),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      ...(options.stdin === undefined ? {} : { stdin: options.stdin }),
    })
  }

  async succeed(argv: readonly string[], options: LabRunOptions = {}): Promise<string> {
    const result = await this.run(argv, options)
    if (result.exitCode === 0) return result.stdout
    throw new MachineError(`host ${this.name}: ${describeFailure(argv, result, options.timeoutMs)}`)
  }

  async fail(argv: readonly string[], options: LabRunOptions = {}): Promise<string> {
    const result = await this.run(argv, options)
    if (result.exitCode !== 0 && !result.timedOut) return result.stdout + result.stderr
    throw new MachineError(
      `host ${this.name}: should have failed: ${describeFailure(argv, result, options.timeoutMs)}`,
    )
  }

  async waitUntilSucceeds(argv: readonly string[], options: LabRunOptions = {}): Promise<string> {
    let last: CommandResult | undefined
    const frame = {
      subject: `host ${this.name}`,
      what: `${argv.join(' ')} to succeed`,
      timeoutMs: options.timeoutMs ?? waitTimeoutMs,
      onImpossible: () => () => {},
      lastLook: async () => (last ? describeFailure(argv, last) : 'it never ended'),
      report: () => '',
    }
    return await waitFor(frame, async ({ signal, remainingMs }) => {
      for (;;) {
        last = await this.run(argv, { ...options, timeoutMs: Math.max(1000, remainingMs()) })
        if (last.exitCode === 0) return last.stdout
        await sleep(pollIntervalMs, undefined, { signal })
      }
    })
  }

  enter(argv: readonly string[]): readonly string[] {
    return this.#context.namespaces.enter(argv)
  }

  async spawn(argv: readonly string[], options: LabRunOptions = {}): Promise<LabProcess> {
    const { programs, namespaces, deadlineMs } = this.#context
    const logPath = join(this.dir, `${argv[0]!.replace(/^.*\//, '')}-${++this.#logs}.log`)
    const child = await startChild({
      programs,
      argv: this.#sandboxed(argv, options),
      enter: (inner) => namespaces.enter(inner),
      logPath,
      deadlineMs,
    })
    const process = labProcess(`${this.name}: ${argv.join(' ')}`, child, logPath)
    this.processes.add(process)
    return process
  }

  #sandboxed(argv: readonly string[], options: LabRunOptions): string[] {
    const { programs, labDir } = this.#context
    return [
      ...programs.argv('bwrap'),
      ...sandboxArguments({
        hostName: this.name,
        rootDir: programs.rootDir,
        stateDir: this.dir,
        folders: [labDir, ...(options.folders ?? [])],
        devices: options.devices ?? [],
        links: this.#links,
        env: options.env ?? {},
      }),
      ...argv,
    ]
  }
}

async function findLinks(rootDir: string): Promise<{ name: string; target: string }[]> {
  const found = await Promise.all(
    topLinks.map(async (name) => {
      const stats = await lstat(join(rootDir, name)).catch(() => undefined)
      return stats?.isSymbolicLink() ? [{ name, target: await readlink(join(rootDir, name)) }] : []
    }),
  )
  return found.flat()
}

/** An /etc with root and nobody in it: Debian's install scripts, which write these files, have not run in a tree. */
async function prepareState({ programs, dir, name }: HostContext): Promise<void> {
  for (const folder of stateFolders) await mkdir(join(dir, folder), { recursive: true })
  for (const folder of ['lib', 'log', 'cache', 'tmp', 'spool']) {
    await mkdir(join(dir, 'var', folder), { recursive: true })
  }
  if (programs.rootDir === undefined) return
  await cp(join(programs.rootDir, 'etc'), join(dir, 'etc'), { recursive: true, verbatimSymlinks: true })
  const files = {
    passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
    group: 'root:x:0:\nnogroup:x:65534:\n',
    hosts: `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${name}\n`,
    'nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
    'resolv.conf': '',
  }
  for (const [file, content] of Object.entries(files)) await writeFile(join(dir, 'etc', file), content)
}
