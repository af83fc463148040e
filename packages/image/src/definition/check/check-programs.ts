import { dirname } from 'node:path/posix'
import type { ContentReader } from '../../tree/read-content.ts'
import { contentSize, type FileNode, type Tree } from '../../tree/tree.ts'
import type { Problem } from '../problems.ts'
import { elfMagic, readElf } from './elf.ts'
import { findPath, findProgram } from './lookup.ts'

const headBytes = 256
/** Searched by the dynamic linker without any cache: glibc's compiled-in folders on Debian arm64. */
const libraryFolders = ['/usr/lib/aarch64-linux-gnu', '/usr/lib']

/** Every ELF file finds its interpreter and libraries, every script its interpreter. */
export async function checkPrograms(tree: Tree, reader: ContentReader): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const [path, node] of tree) {
    if (node.type !== 'file' || contentSize(node.content) < 4 || isNeverRun(path)) continue
    const head = await reader.read(node.content, 0, headBytes)
    if (elfMagic.every((byte, index) => head[index] === byte))
      problems.push(...(await checkElf(tree, path, node, reader)))
    else if (head[0] === 0x23 && head[1] === 0x21 && (node.mode & 0o111) !== 0)
      problems.push(...checkScript(tree, path, node, head))
  }
  return problems
}

/** Relocatable objects: kernel modules are linked by the kernel. */
function isNeverRun(path: string): boolean {
  return path.startsWith('/usr/lib/modules/')
}

async function checkElf(tree: Tree, path: string, node: FileNode, reader: ContentReader): Promise<Problem[]> {
  const elf = await readElf((offset, size) => reader.read(node.content, offset, size))
  if (elf === undefined) return []
  const problems: Problem[] = []
  if (elf.interpreter !== undefined && findProgram(tree, elf.interpreter) !== 'executable')
    problems.push({ where: path, message: `its interpreter ${elf.interpreter} is missing (${node.origin})` })
  const own = dirname(path)
  // A shared object is loaded by a program that may know more folders; its neighbours are among them.
  const neighbours = elf.interpreter === undefined ? [own] : []
  const folders = [
    ...neighbours,
    ...elf.runpath.map((folder) => folder.replaceAll(/\$\{?ORIGIN\}?/g, own)),
    ...libraryFolders,
  ]
  for (const library of elf.needed) {
    const isFound = library.includes('/')
      ? findPath(tree, library) !== undefined
      : folders.some((folder) => findPath(tree, `${folder}/${library}`) !== undefined)
    if (!isFound)
      problems.push({
        where: path,
        message: `the library ${library} is missing (${node.origin})`,
        hint: 'leave the program out too, or keep the package that brings the library',
      })
  }
  return problems
}

function checkScript(tree: Tree, path: string, node: FileNode, head: Uint8Array): Problem[] {
  const line = Buffer.from(head).toString('utf8').slice(2).split('\n')[0]!.trim()
  const [interpreter = '', argument] = line.split(/\s+/)
  const missing = (what: string) => [
    {
      where: path,
      message: `its interpreter ${what} is missing (${node.origin})`,
      hint: 'leave the script out too, or add the package that brings the interpreter',
    },
  ]
  if (findProgram(tree, interpreter) !== 'executable') return missing(interpreter)
  if (!interpreter.endsWith('/env') || argument === undefined || argument.startsWith('-')) return []
  return findProgram(tree, `/usr/bin/${argument}`) === 'executable' ? [] : missing(argument)
}
