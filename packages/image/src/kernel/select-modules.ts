import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'
import { ContentReader, contentSha256 } from '../tree/read-content.ts'
import { comparePaths, type Tree, type TreeNode } from '../tree/tree.ts'
import { parseModuleInfo } from './modinfo.ts'
import { findModules, moduleName, parseBuiltinNames, unknownModules } from './module-names.ts'
import { decompressXz } from './xz.ts'

export interface ModuleSelection {
  /** The kernel package's tree. */
  readonly kernel: Tree
  /** Needed only when the tree holds several kernels. */
  readonly release?: string
  /** Module names; `-` and `_` are the same. Built-in ones are fine and add nothing. */
  readonly wanted: readonly string[]
}

export interface ModuleTools {
  readonly steps: StepRunner
  /** Has kmod's depmod. */
  readonly tools: ToolTree
}

interface PackedFile {
  readonly path: string
  readonly offsetBytes: number
  readonly sizeBytes: number
  readonly sha256: string
}

/**
 * The wanted modules, all they depend on (`depends`) and all they ask for when it exists (`softdep`, `weakdep`),
 * as plain `.ko` files: squashfs and the initrd compress better what is not compressed already. With the index
 * files that modprobe and udev read, made by depmod. Paths from `/usr/lib/modules/<release>` down.
 *
 * Throws a UserError that names every unknown module, with near misses.
 */
export async function selectKernelModules(
  selection: ModuleSelection,
  { steps, tools }: ModuleTools,
): Promise<Tree> {
  const { kernel } = selection
  const { release, folder, paths } = findModules(kernel, selection.release)
  await using reader = new ContentReader()
  const builtin = parseBuiltinNames(await readNode(reader, kernel, `${folder}/modules.builtin`))
  refuseUnknown(selection.wanted, new Set([...paths.keys(), ...builtin]), release)
  const wanted = [...new Set(selection.wanted.map(moduleName))].filter((name) => !builtin.has(name)).sort()

  const result = await steps.run({
    name: `kernel-modules-${wanted.length}`,
    code: codeIdentity(import.meta.url),
    inputs: {
      release,
      folder,
      wanted,
      modules: hashFolder(kernel, folder),
      tools: tools.id,
      xz: 'xz-decompress 0.2.3',
    },
    async run({ outDir, workDir, signal, task }) {
      const modules = await collectModules({ kernel, reader, paths, wanted })
      const stagedFolder = join(workDir, 'lib/modules', release)
      let done = 0
      for (const [path, bytes] of modules) {
        const target = join(stagedFolder, path.slice(folder.length + 1))
        await mkdir(dirname(target), { recursive: true })
        await writeFile(target, bytes)
        task.progress(++done, modules.size, 'items')
      }
      for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) {
        await writeFile(join(stagedFolder, name), await reader.read(fileContent(kernel, `${folder}/${name}`)))
      }
      await tools.run({
        argv: ['/usr/sbin/depmod', '-b', '/scratch', release],
        purpose: 'to index the kernel modules',
        mounts: [{ hostPath: workDir, guestPath: '/scratch', writable: true }],
        timeoutMs: 120_000,
        signal,
      })
      const files = new Map<string, Uint8Array>(modules)
      for (const name of await readdir(stagedFolder)) {
        if (!name.startsWith('modules.') || notOnTheDevice.has(name)) continue
        files.set(`${folder}/${name}`, await readFile(join(stagedFolder, name)))
      }
      await pack(files, outDir)
    },
  })
  return unpack(result.dir, folder)
}

/** Input of depmod, or a text form of an index that only its binary form is read of. */
const notOnTheDevice = new Set(['modules.order', 'modules.symbols'])

function refuseUnknown(wanted: readonly string[], known: ReadonlySet<string>, release: string): void {
  const unknown = unknownModules(wanted, known)
  if (unknown.length === 0) return
  const lines = unknown.map(({ name, nearMisses }) =>
    nearMisses.length === 0 ? `  ${name}` : `  ${name} (did you mean ${nearMisses.join(', ')}?)`,
  )
  throw new UserError(`kernel ${release} has no such modules:\n${lines.join('\n')}`, {
    hint: 'correct the names in kernelModules or loadKernelModules of the module that asks for them',
    exitCode: 2,
  })
}

async function collectModules(options: {
  kernel: Tree
  reader: ContentReader
  paths: ReadonlyMap<string, string>
  wanted: readonly string[]
}): Promise<Map<string, Uint8Array>> {
  const { kernel, reader, paths, wanted } = options
  const found = new Map<string, Uint8Array>()
  const seen = new Set<string>(wanted)
  // Grows while it is walked: dependencies are appended.
  const pending = [...wanted]
  for (const name of pending) {
    const path = paths.get(name)
    if (path === undefined) continue
    const packed = await reader.read(fileContent(kernel, path))
    const bytes = path.endsWith('.xz') ? await decompressXz(packed) : packed
    found.set(path.replace(/\.xz$/, ''), bytes)
    const info = parseModuleInfo(bytes)
    for (const dependency of info.depends.map(moduleName)) {
      if (!paths.has(dependency))
        throw new Error(`module ${name} depends on ${dependency}, which is not in the kernel package`)
      if (!seen.has(dependency)) pending.push(dependency)
      seen.add(dependency)
    }
    for (const dependency of info.softDepends.map(moduleName)) {
      if (!paths.has(dependency) || seen.has(dependency)) continue
      pending.push(dependency)
      seen.add(dependency)
    }
  }
  return new Map([...found].sort(([a], [b]) => comparePaths(a, b)))
}

async function pack(files: ReadonlyMap<string, Uint8Array>, outDir: string): Promise<void> {
  const index: PackedFile[] = []
  const packPath = join(outDir, 'modules.pack')
  const handle = await open(packPath, 'wx')
  try {
    let offsetBytes = 0
    for (const [path, bytes] of [...files].sort(([a], [b]) => comparePaths(a, b))) {
      await handle.writeFile(bytes)
      index.push({ path, offsetBytes, sizeBytes: bytes.byteLength, sha256: sha256(bytes) })
      offsetBytes += bytes.byteLength
    }
  } finally {
    await handle.close()
  }
  await writeFile(join(outDir, 'index.json'), JSON.stringify(index))
  await chmod(packPath, 0o644)
}

function unpack(dir: string, folder: string): Tree {
  const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as PackedFile[]
  const tree = new Map<string, TreeNode>()
  const origin = 'kernel modules'
  const addFolder = (path: string) => {
    if (tree.has(path) || path.length < folder.length) return
    addFolder(posix.dirname(path))
    tree.set(path, { type: 'directory', mode: 0o755, uid: 0, gid: 0, origin })
  }
  for (const { path, ...range } of index) {
    addFolder(posix.dirname(path))
    const content = { kind: 'range', path: join(dir, 'modules.pack'), ...range } as const
    tree.set(path, { type: 'file', mode: 0o644, uid: 0, gid: 0, origin, content })
  }
  return tree
}

function hashFolder(tree: Tree, folder: string): string {
  const hash = createHash('sha256')
  for (const path of [...tree.keys()].filter((path) => path.startsWith(`${folder}/`)).sort(comparePaths)) {
    const node = tree.get(path)!
    if (node.type === 'file') hash.update(`${path}\0${contentSha256(node.content)}\n`)
  }
  return hash.digest('hex')
}

function fileContent(tree: Tree, path: string) {
  const node = tree.get(path)
  if (node?.type !== 'file') throw new Error(`the kernel package has no file ${path}`)
  return node.content
}

async function readNode(reader: ContentReader, tree: Tree, path: string): Promise<string> {
  return reader.readText(fileContent(tree, path))
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
