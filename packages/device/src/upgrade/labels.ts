import { isPlainName } from '@atomixos/config'
import { readOptional, writeDurably } from '../durable-file.ts'

const labelsMax = 16

/** From the text of the file; lines that are no labels don't count. */
export function parseLabels(text: string | undefined): string[] {
  const lines = (text ?? '').split('\n').map((line) => line.trim())
  return [...new Set(lines.filter(isPlainName))].sort().slice(0, labelsMax)
}

export async function readLabels(path: string): Promise<string[]> {
  return parseLabels(await readOptional(path))
}

/** Gives the labels as they are then. Throws an Error that says what is wrong with the label. */
export async function changeLabel(path: string, change: 'add' | 'remove', label: string): Promise<string[]> {
  if (!isPlainName(label)) {
    throw new Error(`"${label}" is no label: up to 32 lower-case letters, digits and hyphens`)
  }
  const before = await readLabels(path)
  const others = before.filter((other) => other !== label)
  const after = change === 'add' ? [...others, label].sort() : others
  if (after.length > labelsMax) throw new Error(`a device has at most ${labelsMax} labels`)
  if (after.join() !== before.join()) await writeDurably(path, after.map((name) => `${name}\n`).join(''))
  return after
}
