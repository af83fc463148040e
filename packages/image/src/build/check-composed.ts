import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkTree } from '../definition/check/index.ts'
import type { Evaluated } from '../definition/evaluate.ts'
import type { Problem } from '../definition/problems.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { treeIdentity } from '../tree/identity.ts'
import type { Tree } from '../tree/tree.ts'

/** `checkTree` as a step: a tree that was checked once is not read again. */
export async function checkComposed(
  tree: Tree,
  evaluated: Evaluated,
  { steps }: { steps: StepRunner },
): Promise<Problem[]> {
  const result = await steps.run({
    name: `check ${evaluated.name}`,
    code: codeIdentity(import.meta.url),
    inputs: { tree: treeIdentity(tree), origins: originsIdentity(tree), evaluated: plain(evaluated) },
    async run({ outDir }) {
      await writeFile(join(outDir, 'problems.json'), JSON.stringify(await checkTree(tree, evaluated)))
    },
  })
  return JSON.parse(await readFile(join(result.dir, 'problems.json'), 'utf8')) as Problem[]
}

/** Who brought what is in the messages, though not in the tree's own identity. */
function originsIdentity(tree: Tree): string {
  const hash = createHash('sha256')
  for (const [path, { origin }] of tree) hash.update(`${path}\0${origin}\0`)
  return hash.digest('hex')
}

/** Maps as lists of entries; bytes by their hash. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return [...value].map(plain)
  if (value instanceof Uint8Array) return createHash('sha256').update(value).digest('hex')
  if (value instanceof URL) return value.pathname.split('/').at(-1)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
  }
  return value
}
