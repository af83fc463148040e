import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Reporter, Task } from '../reporter.ts'
import { canonicalJson } from './canonical-json.ts'

/**
 * A pure function from declared inputs to a folder of files. Whatever can change a byte of the result is in
 * `code` or `inputs`; the result is kept under the hash of both.
 */
export interface Step {
  /** Shown to people and part of the folder's name: `squashfs`, `u-boot rock64`. */
  readonly name: string
  /** `codeIdentity(import.meta.url)` of the module that does the work. */
  readonly code: string
  /** A JSON value: options, content hashes, ids of tool trees and of other steps' results. */
  readonly inputs: unknown
  run(context: StepContext): Promise<void>
}

export interface StepContext {
  /** Empty; becomes the result when `run` returns. */
  readonly outDir: string
  /** Empty scratch space, removed afterwards, kept when the step fails. */
  readonly workDir: string
  readonly signal: AbortSignal
  readonly task: Task
}

export interface StepResult {
  readonly id: string
  readonly dir: string
  /** True when nothing had to be done. */
  readonly cached: boolean
}

export function stepId(step: Pick<Step, 'name' | 'code' | 'inputs'>): string {
  const text = canonicalJson({ name: step.name, code: step.code, inputs: step.inputs })
  return createHash('sha256').update(text).digest('hex')
}

export class StepRunner {
  readonly #cacheDir: string
  readonly #reporter: Reporter
  readonly #signal: AbortSignal
  readonly #running = new Map<string, Promise<StepResult>>()

  constructor(options: { cacheDir: string; reporter: Reporter; signal: AbortSignal }) {
    this.#cacheDir = options.cacheDir
    this.#reporter = options.reporter
    this.#signal = options.signal
  }

  /** The step's result, from the cache or made now. Two calls with the same identity share one run. */
  run(step: Step): Promise<StepResult> {
    const id = stepId(step)
    let running = this.#running.get(id)
    if (running === undefined) {
      running = this.#make(step, id)
      this.#running.set(id, running)
    }
    return running
  }

  async #make(step: Step, id: string): Promise<StepResult> {
    const slug = step.name.replaceAll(/[^a-z0-9-]+/g, '-')
    const dir = join(this.#cacheDir, 'steps', `${slug}-${id.slice(0, 32)}`)
    if (existsSync(dir)) {
      // The folder's time says when it was last wanted: `clean --unused` removes by it.
      const now = new Date()
      await utimes(dir, now, now)
      return { id, dir, cached: true }
    }
    this.#signal.throwIfAborted()
    const scratch = join(this.#cacheDir, 'work', `${slug}-${randomBytes(6).toString('hex')}`)
    const outDir = join(scratch, 'out')
    const workDir = join(scratch, 'work')
    await mkdir(outDir, { recursive: true })
    await mkdir(workDir)
    const task = this.#reporter.task(step.name)
    try {
      await step.run({ outDir, workDir, signal: this.#signal, task })
      this.#signal.throwIfAborted()
      await mkdir(join(this.#cacheDir, 'steps'), { recursive: true })
      // Another process may have made the same result meanwhile: same identity, same bytes, either will do.
      await rename(outDir, dir).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      })
      task.done()
    } catch (error) {
      task.failed()
      if (this.#signal.aborted) await rm(scratch, { recursive: true, force: true })
      else this.#reporter.info(`the work of "${step.name}" is kept in ${scratch}`)
      throw error
    }
    await rm(scratch, { recursive: true, force: true })
    return { id, dir, cached: false }
  }
}
