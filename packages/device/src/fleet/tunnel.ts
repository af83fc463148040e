import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import {
  isSameTunnel,
  oneLine,
  renderKnownHosts,
  type TunnelRequest,
  tunnelArguments,
} from '@atomixos/config'
import { replace } from './trust.ts'

export interface TunnelOptions {
  /** For the file of known hosts; in memory, since it is written for each tunnel. */
  readonly folder: string
  readonly keyPath: string
  /** What starts `ssh`; arguments follow. */
  readonly ssh: readonly [string, ...string[]]
  readonly say: (line: string) => void
  /** It ended although it is wanted. */
  readonly ended: (ranMs: number) => void
}

/** At most one `ssh` that holds the tunnel open. It is not started again by itself: the server is asked first. */
export class Tunnel implements AsyncDisposable {
  readonly #options: TunnelOptions
  #running: { readonly child: ChildProcess; readonly request: TunnelRequest } | undefined

  constructor(options: TunnelOptions) {
    this.#options = options
  }

  get state(): 'up' | 'down' {
    return this.#running === undefined ? 'down' : 'up'
  }

  /** As the server wants it now; undefined: none. */
  async want(request: TunnelRequest | undefined): Promise<void> {
    const running = this.#running
    if (running !== undefined && request !== undefined && isSameTunnel(running.request, request)) return
    await this.#stop()
    if (request !== undefined) await this.#start(request)
  }

  async #start(request: TunnelRequest): Promise<void> {
    const { folder, keyPath, ssh, say, ended } = this.#options
    const knownHosts = join(folder, 'known_hosts')
    await replace(knownHosts, renderKnownHosts(request))
    const [program, ...argv] = [...ssh, ...tunnelArguments(request, { key: keyPath, knownHosts })]
    const child = spawn(program!, argv, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '/usr/bin', LC_ALL: 'C.UTF-8' },
    })
    const startedMs = performance.now()
    this.#running = { child, request }
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      // The last words are the reason; a server that talks for ever fills no memory.
      said = (said + chunk.toString('utf8')).slice(-2000)
    })
    child.once('error', (error) => {
      said = error.message
    })
    child.once('close', () => {
      // Stopped, or another one is running.
      if (this.#running?.child !== child) return
      this.#running = undefined
      say(`the tunnel ended: ${oneLine(said.trim().split('\n').at(-1) ?? '') || 'without a word'}`)
      ended(performance.now() - startedMs)
    })
    say(`tunnel to ${request.host} port ${request.port}`)
  }

  async #stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#running = undefined
    const { child } = running
    if (child.exitCode !== null || child.signalCode !== null) return
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => child.kill('SIGKILL'), 5000)
      child.once('close', () => {
        clearTimeout(force)
        resolve()
      })
      child.kill('SIGTERM')
    })
    this.#options.say('the tunnel is closed')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop()
  }
}
