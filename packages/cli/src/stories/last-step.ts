import { open, readdir, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { stripVTControlCharacters } from 'node:util'

/** The driver's name for what a machine said on its serial console. */
const consoleLog = 'console.log'
const tailBytes = 4096
/** A story keeps its machines in folders of its own, and copies of them one or two further down. */
const deepest = 4

/**
 * The last line that a machine of each of these stories said on its console, by story. A story without a machine yet
 * has the newest of those that belong to no story: saved machines are made there. Reads a few kilobytes; what cannot be
 * read is left out.
 */
export async function readLastSteps(
  workDir: string,
  underWay: readonly string[],
  /** Of the whole run. */
  stories: readonly string[],
): Promise<Map<string, string>> {
  const steps = new Map<string, string>()
  const folders = await readdir(workDir).catch(() => [])
  const shared = folders.filter((folder) => !stories.some((story) => belongsTo(folder, story)))
  for (const story of underWay) {
    const own = folders.filter((folder) => belongsTo(folder, story))
    const log = (await newestLog(workDir, own)) ?? (await newestLog(workDir, shared))
    const line = log === undefined ? undefined : lastLine(await readTail(log))
    if (line !== undefined) steps.set(story, line)
  }
  return steps
}

/** `rauc-hostile` keeps its machines in `rauc-hostile-bundles` and `rauc-hostile-servers`. */
export function belongsTo(folder: string, story: string): boolean {
  return folder === story || folder.startsWith(`${story}-`)
}

async function newestLog(workDir: string, folders: readonly string[]): Promise<string | undefined> {
  let newest: { path: string; mtimeMs: number } | undefined
  for (const folder of folders) {
    const entries = await readdir(join(workDir, folder), { recursive: true }).catch(() => [])
    for (const entry of entries) {
      if (!entry.endsWith(consoleLog) || entry.split(sep).length > deepest) continue
      const path = join(workDir, folder, entry)
      const found = await stat(path).catch(() => undefined)
      // One that is silent for ten minutes belongs to an earlier run, or to a machine that is gone.
      if (found === undefined || Date.now() - found.mtimeMs > 600_000) continue
      if (newest === undefined || found.mtimeMs > newest.mtimeMs) newest = { path, mtimeMs: found.mtimeMs }
    }
  }
  return newest?.path
}

async function readTail(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return ''
  try {
    const { size } = await file.stat()
    const from = Math.max(0, size - tailBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(tailBytes), 0, tailBytes, from)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Of a console's bytes: the last line with something on it, as plain text. */
export function lastLine(text: string): string | undefined {
  return stripVTControlCharacters(text)
    .split(/[\r\n]+/)
    .map((line) => line.replaceAll(/[\p{Cc}\ufffd]/gu, '').trim())
    .findLast((line) => /[\p{L}\d]{2}/u.test(line))
}
