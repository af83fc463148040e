import { join } from 'node:path'

/** The places one checkout works in. Handed down from the command line; nothing else knows a path. */
export interface Workspace {
  /** The checkout. */
  readonly rootDir: string
  /** Caches: `downloads/`, `packages/`, `trees/`, `steps/`, `machines/`. Ignored by git, emptied by `clean`. */
  readonly cacheDir: string
  /** What a build hands to people. */
  readonly distDir: string
  readonly lockPath: string
}

export function workspaceAt(rootDir: string, overrides: Partial<Workspace> = {}): Workspace {
  return {
    rootDir,
    cacheDir: join(rootDir, '.atomixos'),
    distDir: join(rootDir, 'dist'),
    lockPath: join(rootDir, 'atomixos.lock.json'),
    ...overrides,
  }
}
