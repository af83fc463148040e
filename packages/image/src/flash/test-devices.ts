import { execFile } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Reporter } from '../reporter.ts'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import type { ToolTree } from '../tools/tools.ts'

/** For tests: a real block device whose medium is a file. */
export interface LoopDevice extends AsyncDisposable {
  readonly path: string
  readonly backingPath: string
  /** The medium shrinks to nothing, and the kernel is told: what it sees of a card that is pulled out. */
  pullOut(): Promise<void>
}

/** For tests: runs a program of the tools tree on the host itself. Throws with its output when it fails. */
export async function runTool(tools: ToolTree, program: string, ...args: string[]): Promise<string> {
  const { loader, env } = tools.unconfined()
  const [start, ...rest] = [...loader, join(tools.dir, program), ...args]
  const { stdout } = await promisify(execFile)(start!, rest, { env: { ...process.env, ...env } })
  return stdout.trim()
}

export async function attachLoop(tools: ToolTree, dir: string, sizeBytes: number): Promise<LoopDevice> {
  const backingPath = join(dir, `medium-${process.hrtime.bigint()}`)
  await writeFile(backingPath, '')
  await truncate(backingPath, sizeBytes)
  const path = await runTool(tools, 'usr/sbin/losetup', '--find', '--show', '--partscan', backingPath)
  return {
    path,
    backingPath,
    async pullOut() {
      await truncate(backingPath, 0)
      await runTool(tools, 'usr/sbin/losetup', '--set-capacity', path)
    },
    async [Symbol.asyncDispose]() {
      await runTool(tools, 'usr/sbin/losetup', '--detach', path)
    },
  }
}

/** Why there can be no loop devices here; false when there can. */
export async function whyNoLoopDevices(): Promise<string | false> {
  if (process.platform !== 'linux') return `no loop devices on ${process.platform}`
  if (process.getuid?.() !== 0) return 'loop devices need root'
  await using dir = await scratchDir()
  try {
    const tools = await (await openTestInputs()).toolTree('tools')
    await using _loop = await attachLoop(tools, dir.path, 1 << 20)
    return false
  } catch (error) {
    return `no loop devices here: ${String((error as Error).message)
      .split('\n')
      .at(-1)}`
  }
}

/** For tests: what was said, and a hook at every step of a task. */
export function listeningReporter(
  onProgress: (title: string, done: number) => void = () => {},
): Reporter & { readonly said: string[] } {
  const said: string[] = []
  return {
    said,
    task: (title) => ({
      progress: (done) => onProgress(title, done),
      done: () => said.push(`done: ${title}`),
      failed: () => said.push(`failed: ${title}`),
    }),
    info: (message) => said.push(message),
    warn: (message) => said.push(`warning: ${message}`),
  }
}
