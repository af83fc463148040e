import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Imports of types only are gone before anything runs: they are not followed. */
const importPattern =
  /^(?:import|export)\s+(?!type\b)[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'|\bimport\('([^']+)'\)/gm
const known = new Map<string, { readonly bytes: string; readonly imports: readonly string[] }>()

/**
 * Hash of a module's source and of every module of ours that it imports, directly or not, at once or later. A step that names
 * its module here is built again when its own code changes, and not when unrelated code does. npm packages
 * are not followed: name the version of one that shapes bytes among the step's inputs.
 */
export function codeIdentity(moduleUrl: string): string {
  const closure = new Set<string>()
  const pending = [moduleUrl]
  while (pending.length > 0) {
    const url = pending.pop()!
    if (closure.has(url)) continue
    closure.add(url)
    pending.push(...readModule(url).imports)
  }
  const hash = createHash('sha256')
  // Contents only, in order of content: neither the checkout's place nor a file's name can change a result.
  for (const source of [...closure].map((url) => readModule(url).bytes).sort()) {
    hash.update(String(source.length)).update('\n').update(source)
  }
  return hash.digest('hex')
}

function readModule(url: string) {
  let module = known.get(url)
  if (module === undefined) {
    const bytes = readFileSync(fileURLToPath(url), 'utf8')
    const imports = [...bytes.matchAll(importPattern)]
      .map((match) => match[1] ?? match[2] ?? match[3]!)
      .filter((specifier) => specifier.startsWith('.') || specifier.startsWith('@atomixos/'))
      .map((specifier) =>
        specifier.startsWith('.') ? new URL(specifier, url).href : import.meta.resolve(specifier),
      )
    module = { bytes, imports }
    known.set(url, module)
  }
  return module
}
