import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MachineError, seconds } from './errors.ts'

/** The kernel takes at most 107 bytes; the name of the folder and of a socket in it come on top. */
const baseBytesMax = 80

const folders = new Set<string>()
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** A fresh folder for sockets, which cannot be in just any folder: their paths must be short. */
export async function makeSocketDir(prefix: string): Promise<string> {
  const base = Buffer.byteLength(tmpdir()) > baseBytesMax ? '/tmp' : tmpdir()
  const folder = await mkdtemp(join(base, prefix))
  folders.add(folder)
  return folder
}

export async function removeSocketDir(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  folders.delete(folder)
}

/**
 * Connects to a Unix socket that a program we started is about to make. Gives up at once when `stillPossible`
 * turns false: the program ended.
 */
export async function connectWhenThere(
  path: string,
  options: { readonly timeoutMs: number; readonly stillPossible: () => boolean },
): Promise<Socket> {
  const end = Date.now() + options.timeoutMs
  for (;;) {
    try {
      return await connectOnce(path)
    } catch (cause) {
      if (!options.stillPossible()) throw new MachineError(`nobody listens on ${path}`, { cause })
      if (Date.now() > end) {
        throw new MachineError(`nobody listened on ${path} for ${seconds(options.timeoutMs)}`, { cause })
      }
    }
    await sleep(10)
  }
}

function connectOnce(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}
