import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Inputs, openInputs } from '../inputs.ts'
import { silentReporter } from '../reporter.ts'
import { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'
import type { Tree } from '../tree/tree.ts'
import { workspaceAt } from '../workspace.ts'

/** For tests: the locked packages and tools of this checkout, and steps that are always done anew. */
export interface TestInputs extends AsyncDisposable {
  readonly inputs: Inputs
  readonly tools: ToolTree
  readonly steps: StepRunner
  readonly kernel: Tree
  /** Empty, removed afterwards. */
  readonly dir: string
}

export async function openTestInputs(): Promise<TestInputs> {
  const rootDir = join(import.meta.dirname, '../../../..')
  const cacheDir = process.env.ATOMIXOS_CACHE_DIR
  const signal = new AbortController().signal
  const workspace = workspaceAt(rootDir, cacheDir ? { cacheDir } : {})
  const inputs = await openInputs({ workspace, reporter: silentReporter, signal })
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
  const packages = await inputs.packageTrees('initrd')
  return {
    inputs,
    tools: await inputs.toolTree('tools'),
    steps: new StepRunner({ cacheDir: join(dir, 'cache'), reporter: silentReporter, signal }),
    kernel: packages.find(({ name }) => /^linux-image-\d/.test(name))!.tree,
    dir,
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true })
    },
  }
}
