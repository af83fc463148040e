import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Scratch space of one run, gone with the scope that opened it; two runs at a time do not meet. */
export interface LockWorkDir extends AsyncDisposable {
  readonly path: string
  /** For a copy of the indices, laid out as a mirror. */
  readonly mirrorDir: string
  /** Indices by hash, kept for later runs. */
  readonly indexDir: string
}

export async function openLockWorkDir(cacheDir: string): Promise<LockWorkDir> {
  const lockDir = join(cacheDir, 'lock')
  await mkdir(lockDir, { recursive: true })
  const path = await mkdtemp(join(lockDir, 'run-'))
  const mirrorDir = join(path, 'mirror')
  await mkdir(mirrorDir)
  return {
    path,
    mirrorDir,
    indexDir: join(lockDir, 'indices'),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}
