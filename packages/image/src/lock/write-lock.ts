import { open, rename } from 'node:fs/promises'
import type { Lock } from './lock.ts'

/** Two spaces of indentation, one package or file per line, a newline at the end: changes read well in a diff. */
export function renderLock(lock: Lock): string {
  return `${render(lock, '')}\n`
}

function render(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null || isLeaf(value)) return inline(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const items = value.map((item) => `${inner}${render(item, inner)}`)
    return `[\n${items.join(',\n')}\n${indent}]`
  }
  const items = Object.entries(value).map(
    ([key, item]) => `${inner}${JSON.stringify(key)}: ${render(item, inner)}`,
  )
  return `{\n${items.join(',\n')}\n${indent}}`
}

/** An object of plain values, or an empty list: it fits on a line of its own. */
function isLeaf(value: object): boolean {
  const items = Object.values(value)
  return Array.isArray(value) ? items.length === 0 : items.every((item) => typeof item !== 'object')
}

function inline(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return JSON.stringify(value)
  return `{ ${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${JSON.stringify(item)}`)
    .join(', ')} }`
}

/** Replaces the file at once: whoever reads it sees the old lock or the new one. */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  const partial = `${path}.new`
  const file = await open(partial, 'w', 0o644)
  try {
    await file.writeFile(renderLock(lock))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(partial, path)
}
