import type { ContentReader } from '../../tree/read-content.ts'
import type { Tree } from '../../tree/tree.ts'
import { type ParsedUnit, parseUnit, templateOf } from '../unit-text.ts'
import { findPath } from './lookup.ts'

export interface LoadedUnit {
  readonly name: string
  /** The file it was read from, links followed. */
  readonly path: string
  readonly origins: readonly string[]
  readonly text: ParsedUnit
  readonly masked: boolean
}

/** In the order in which systemd prefers them. */
export const unitFolders = ['/etc/systemd/system', '/usr/lib/systemd/system'] as const

/** Reads units by name, with drop-ins, aliases, templates and the links that `enable` makes. */
export class UnitLibrary {
  readonly #tree: Tree
  readonly #reader: ContentReader
  readonly #loaded = new Map<string, Promise<LoadedUnit | undefined>>()
  readonly #links: ReadonlyMap<string, readonly string[]>

  constructor(tree: Tree, reader: ContentReader) {
    this.#tree = tree
    this.#reader = reader
    this.#links = dependencyLinks(tree)
  }

  load(name: string): Promise<LoadedUnit | undefined> {
    let unit = this.#loaded.get(name)
    if (unit === undefined) {
      unit = this.#load(name)
      this.#loaded.set(name, unit)
    }
    return unit
  }

  /** `wants`, `requires` and `upholds` links of a unit, and of the template it comes from. */
  linked(name: string, kind: 'wants' | 'requires' | 'upholds'): readonly string[] {
    const template = templateOf(name)
    return [
      ...(this.#links.get(`${name}.${kind}`) ?? []),
      ...(template === undefined ? [] : (this.#links.get(`${template}.${kind}`) ?? [])),
    ]
  }

  async #load(name: string): Promise<LoadedUnit | undefined> {
    const names = [name, templateOf(name)].filter((candidate) => candidate !== undefined)
    for (const candidate of names) {
      for (const folder of unitFolders) {
        const path = `${folder}/${candidate}`
        const node = this.#tree.get(path)
        if (node === undefined) continue
        const masked = node.type === 'symlink' && node.target === '/dev/null'
        if (masked) return { name, path, origins: [node.origin], text: new Map(), masked }
        const found = findPath(this.#tree, path)
        if (found === undefined || 'outside' in found || found.node.type !== 'file') return undefined
        const dropIns = this.#dropIns(name, candidate)
        const texts = await Promise.all(
          [found.node, ...dropIns].map((file) => this.#reader.readText(file.content)),
        )
        const origins = [found.node.origin, ...dropIns.map(({ origin }) => origin)]
        return { name, path: found.path, origins, text: parseUnit(texts.join('\n')), masked }
      }
    }
    return undefined
  }

  #dropIns(name: string, candidate: string) {
    const type = name.slice(name.lastIndexOf('.') + 1)
    const prefixes = [`${type}.d`, `${candidate}.d`, ...(candidate === name ? [] : [`${name}.d`])]
    return prefixes.flatMap((prefix) =>
      [...unitFolders].reverse().flatMap((folder) => {
        const start = `${folder}/${prefix}/`
        return [...this.#tree]
          .filter(([path]) => path.startsWith(start) && path.endsWith('.conf'))
          .map(([, node]) => node)
          .filter((node) => node.type === 'file')
      }),
    )
  }
}

function dependencyLinks(tree: Tree): ReadonlyMap<string, readonly string[]> {
  const links = new Map<string, string[]>()
  for (const path of tree.keys()) {
    const match = /^\/(?:etc|usr\/lib)\/systemd\/system\/([^/]+\.(?:wants|requires|upholds))\/([^/]+)$/.exec(
      path,
    )
    if (match === null) continue
    const names = links.get(match[1]!) ?? []
    names.push(match[2]!)
    links.set(match[1]!, names)
  }
  return links
}
