import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Inputs, openInputs } from '../inputs.ts'
import { type Reporter, silentReporter } from '../reporter.ts'
import { type Workspace, workspaceAt } from '../workspace.ts'

/** For tests: the workspace of this checkout, with the cache that every other command uses. */
export function testWorkspace(): Workspace {
  const cacheDir = process.env.ATOMIXOS_CACHE_DIR
  return workspaceAt(join(import.meta.dirname, '../../../..'), cacheDir ? { cacheDir } : {})
}

/** For tests: the locked inputs of this checkout; what is missing is fetched. */
export function openTestInputs(reporter: Reporter = silentReporter): Promise<Inputs> {
  return openInputs({ workspace: testWorkspace(), reporter, signal: new AbortController().signal })
}

/** For tests: an empty folder that goes with the scope that made it. */
export async function scratchDir(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
