import { readFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import { dirname } from 'node:path'
import {
  type FleetSettings,
  type fleetRuntimePaths,
  parseFleetSettings,
  wanInterface,
} from '@atomixos/config'
import { readOptional } from '../durable-file.ts'
import { runProgram } from '../run-program.ts'
import { publicAuthoritiesPath } from '../upgrade/authorities.ts'
import { parseDeviceId } from '../upgrade/device-id.ts'
import { Agent } from './agent.ts'
import { openIdentity, writeIdentity } from './identity.ts'
import { post } from './post.ts'
import { replace, writeTrust } from './trust.ts'
import { Tunnel } from './tunnel.ts'

export interface RunOptions {
  /** Text of `fleet.json`. */
  readonly settings: string
  /** The line of the device's SSH host key. */
  readonly hostKey: string
  readonly version: string
  readonly addressPath?: string
  readonly folder: string
  readonly runtime: Readonly<Record<keyof typeof fleetRuntimePaths, string>>
  readonly programs: {
    readonly ssh: readonly [string, ...string[]]
    readonly sshKeygen: readonly [string, ...string[]]
  }
  readonly say: (line: string) => void
  readonly random?: () => number
  /** How long a second of waiting takes; tests have less time. */
  readonly msPerS?: number
  readonly signal: AbortSignal
}

/** Until the signal comes; then the tunnel is closed and nobody's certificate is taken any more. Throws an Error. */
export async function runAgent(options: RunOptions): Promise<void> {
  const { folder, runtime, programs, say, signal, random = Math.random, msPerS = 1000 } = options
  const settings = parseSettings(options.settings)
  await writeTrust(runtime, undefined)
  const address = await readFile(options.addressPath ?? `/sys/class/net/${wanInterface}/address`, 'utf8')
  const mac = parseDeviceId(address)
  if (mac === undefined) throw new Error(`${wanInterface} has no address of its own`)
  const [keygen, ...keygenArguments] = programs.sshKeygen
  const makeKey = (path: string) =>
    runProgram([keygen, ...keygenArguments, '-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path], {
      timeoutMs: 60_000,
    })
  const identity = await openIdentity({ folder, makeKey }, settings.serverUrl)
  // One of these ends the wait for the next heartbeat.
  let wake: ((delayMs: number) => void) | undefined
  await using tunnel = new Tunnel({
    ...{ folder: dirname(runtime.status), keyPath: identity.keyPath, ssh: programs.ssh, say },
    ended: (ranMs) => wake?.(agent.tunnelEnded(ranMs)),
  })
  const agent = new Agent(
    {
      ...{ serverUrl: settings.serverUrl, mac, version: options.version },
      hostKey: options.hostKey.trim().split(' ').slice(0, 2).join(' '),
    },
    identity,
    {
      async post({ path, body, token }) {
        const authorities = await readAuthorities(settings)
        return post({ url: `${settings.serverUrl}${path}`, body, token, authorities, signal })
      },
      save: (changed) => writeIdentity(folder, settings.serverUrl, changed),
      trust: (trust) => writeTrust(runtime, trust),
      tunnel,
      note: (status) => replace(runtime.status, `${JSON.stringify(status)}\n`),
      say,
      random,
      uptimeS: () => Math.floor(uptime()),
      now: () => new Date(),
    },
  )
  let delayMs = agent.firstDelayMs()
  try {
    while (!signal.aborted) {
      await new Promise<void>((resolve) => {
        const after = (ms: number) => setTimeout(resolve, (ms / 1000) * msPerS)
        let timer = after(delayMs)
        wake = (soonerMs) => {
          clearTimeout(timer)
          timer = after(soonerMs)
        }
        const stop = () => {
          clearTimeout(timer)
          resolve()
        }
        signal.addEventListener('abort', stop, { once: true })
      })
      wake = undefined
      if (!signal.aborted) delayMs = await agent.step()
    }
  } finally {
    await writeTrust(runtime, undefined)
  }
}

function parseSettings(text: string): FleetSettings {
  try {
    return parseFleetSettings(text)
  } catch (error) {
    throw new Error(`fleet.json: ${(error as Error).message}`, { cause: error })
  }
}

/** Read anew each time: public authorities change with an update, and nothing else of ours is kept open. */
async function readAuthorities({ authority }: FleetSettings): Promise<string[]> {
  if (authority !== undefined) return [authority]
  const text = await readOptional(publicAuthoritiesPath)
  if (text === undefined) throw new Error(`${publicAuthoritiesPath} can't be read`)
  return [text]
}
