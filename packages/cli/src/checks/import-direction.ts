import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/**
 * What each part of the repository may import from the others. To allow another direction, change this table
 * and the one in ARCHITECTURE.md, and say why there.
 */
export const allowedImports: Readonly<Record<string, readonly string[]>> = {
  'packages/config': [],
  'packages/image': ['packages/config'],
  'packages/device': ['packages/config'],
  'packages/machine': [],
  'packages/fleet': ['packages/config'],
  system: ['packages/config', 'packages/image'],
  'packages/cli': [
    ...['packages/config', 'packages/image', 'packages/machine', 'packages/fleet'],
    ...['system', 'e2e'],
  ],
  e2e: ['packages/machine', 'packages/fleet', 'system', 'packages/config'],
  bench: [
    ...['packages/config', 'packages/image', 'packages/device', 'packages/machine'],
    ...['system', 'packages/cli', 'e2e'],
  ],
}

const partOfPackage: Readonly<Record<string, string>> = {
  '@atomixos/config': 'packages/config',
  '@atomixos/image': 'packages/image',
  '@atomixos/device': 'packages/device',
  '@atomixos/machine': 'packages/machine',
  '@atomixos/fleet': 'packages/fleet',
  '@atomixos/system': 'system',
  '@atomixos/cli': 'packages/cli',
  '@atomixos/e2e': 'e2e',
  '@atomixos/bench': 'bench',
}

/** Modules that reach the world; `packages/config` is pure and may use none of them. */
const impure = /^node:(fs|child_process|net|http|https|dns|os|process|worker_threads|dgram|tls)/

export interface SourceFile {
  /** Relative to the checkout, with `/`. */
  readonly path: string
  readonly text: string
}

const specifierPattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)(['"])([^'"]+)\1/gm

/** One message for each import that goes the wrong way. Pure. */
export function importProblems(files: readonly SourceFile[]): string[] {
  const problems: string[] = []
  for (const file of files) {
    const part = Object.keys(allowedImports).find((name) => file.path.startsWith(`${name}/`))
    if (part === undefined) continue
    for (const match of file.text.matchAll(specifierPattern)) {
      const specifier = match[2]!
      const target = targetPart(file.path, specifier)
      if (part === 'packages/config' && impure.test(specifier) && !file.path.endsWith('.test.ts')) {
        problems.push(`${file.path} imports "${specifier}", but packages/config is pure`)
      }
      if (target === undefined || target === part || allowedImports[part]!.includes(target)) continue
      const allowed = allowedImports[part]!.join(', ') || 'nothing of ours'
      problems.push(`${file.path} imports "${specifier}" of ${target}, but ${part} may import ${allowed}`)
    }
  }
  return problems
}

function targetPart(path: string, specifier: string): string | undefined {
  if (specifier.startsWith('@atomixos/')) {
    return partOfPackage[specifier.split('/').slice(0, 2).join('/')] ?? specifier
  }
  if (!specifier.startsWith('.')) return undefined
  const resolved = join(path, '..', specifier).split(sep).join('/')
  return Object.keys(allowedImports).find((name) => resolved.startsWith(`${name}/`))
}

export async function readSourceFiles(rootDir: string): Promise<SourceFile[]> {
  const files: SourceFile[] = []
  for (const part of Object.keys(allowedImports)) {
    const entries = await readdir(join(rootDir, part), { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.parentPath.includes('node_modules'))
        continue
      const path = join(entry.parentPath, entry.name)
      files.push({ path: relative(rootDir, path).split(sep).join('/'), text: await readFile(path, 'utf8') })
    }
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1))
}
