import { createHash } from 'node:crypto'
import { cell, type DeviceTreeNode, nodeAt, parseDeviceTree, text } from './device-tree.ts'

/** One image inside a FIT (Flattened Image Tree) whose data lies behind the tree. */
export interface FitPart {
  readonly name: string
  /** `standalone`, `firmware`, `flat_dt`. */
  readonly type: string | undefined
  readonly os: string | undefined
  readonly data: Buffer
  /** The recorded SHA-256 is there and is that of the data. */
  readonly hashHolds: boolean
}

export interface Fit {
  readonly sizeBytes: number
  readonly parts: ReadonlyMap<string, FitPart>
  /** Part names that the default configuration starts. */
  readonly started: readonly string[]
  readonly fdt: string | undefined
}

/** Throws an Error that tells what is wrong with the bytes. */
export function parseFit(bytes: Buffer): Fit {
  const { root, sizeBytes: treeBytes } = parseDeviceTree(bytes)
  const dataStart = (treeBytes + 3) & ~3
  let end = dataStart
  const parts = new Map<string, FitPart>()
  for (const node of nodeAt(root, 'images')?.children.values() ?? []) {
    const position = cell(node, 'data-position') ?? dataStart + (cell(node, 'data-offset') ?? Number.NaN)
    const size = cell(node, 'data-size') ?? Number.NaN
    if (!(position + size <= bytes.length)) throw new Error(`the data of "${node.name}" is not there`)
    const data = bytes.subarray(position, position + size)
    end = Math.max(end, position + size)
    const part = { name: node.name, type: text(node, 'type'), os: text(node, 'os'), data }
    parts.set(node.name, { ...part, hashHolds: hashHolds(node, data) })
  }
  const configurations = nodeAt(root, 'configurations')
  const chosen = configurations?.children.get(text(configurations, 'default') ?? '')
  const loadables = chosen?.properties.get('loadables')?.toString('latin1').split('\0').filter(Boolean) ?? []
  const firmware = text(chosen, 'firmware')
  return {
    sizeBytes: end,
    parts,
    started: [...(firmware === undefined ? [] : [firmware]), ...loadables],
    fdt: text(chosen, 'fdt'),
  }
}

function hashHolds(node: DeviceTreeNode, data: Buffer): boolean {
  const hash = [...node.children.values()].find(({ name }) => name === 'hash' || name.startsWith('hash-'))
  if (text(hash, 'algo') !== 'sha256') return false
  return createHash('sha256').update(data).digest().equals(hash!.properties.get('value')!)
}
