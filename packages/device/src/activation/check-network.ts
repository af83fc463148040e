import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type NetworkSettings,
  networkRuntimeFolder,
  type Problem,
  renderRuntimeFiles,
  runtimePaths,
  withSafe,
} from '@atomixos/config'
import { lastLine, runProgram } from '../run-program.ts'

type Part = Parameters<typeof withSafe>[1]

interface Check {
  readonly path: string
  /** The settings that are given up when the program that is going to read the file does not take it. */
  readonly part: Part
  readonly argv: (file: string) => readonly [string, ...string[]]
}

const checks: readonly Check[] = [
  {
    path: runtimePaths.firewall,
    part: 'firewall',
    argv: (file) => ['/usr/sbin/nft', '--check', '--file', file],
  },
  {
    path: runtimePaths.dnsmasq,
    part: 'lan',
    argv: (file) => ['/usr/sbin/dnsmasq', '--test', `--conf-file=${file}`],
  },
  { path: runtimePaths.chrony, part: 'host', argv: (file) => ['/usr/sbin/chronyd', '-p', '-f', file] },
]

export interface Accepted {
  readonly settings: NetworkSettings
  readonly files: ReadonlyMap<string, string>
  readonly problems: readonly Problem[]
}

/**
 * Has the programs themselves look at what is rendered for them, before any of it takes effect. What one of them does
 * not take is given up, and the rest looked at again.
 */
export async function acceptable(settings: NetworkSettings): Promise<Accepted> {
  const problems: Problem[] = []
  const givenUp = new Set<Part>()
  let left = settings
  for (;;) {
    const files = renderRuntimeFiles(left)
    const refused = await refusals(files)
    if (refused.length === 0) return { settings: left, files, problems }
    for (const { part, path, message } of refused) {
      // Its safe values are not taken either: the built-in rules, which are loaded already, are better than a guess.
      if (givenUp.has(part)) throw new Error(`${path}: ${message}`)
      givenUp.add(part)
      left = withSafe(left, part)
      problems.push({
        path,
        message,
        hint: 'this should not happen with a file that was validated: please report it',
      })
    }
  }
}

async function refusals(
  files: ReadonlyMap<string, string>,
): Promise<{ part: Part; path: string; message: string }[]> {
  const folder = join(networkRuntimeFolder, `check.${process.pid}`)
  await mkdir(folder, { recursive: true })
  try {
    const results = await Promise.all(
      checks.map(async ({ path, part, argv }) => {
        const text = files.get(path)
        if (text === undefined) return []
        const file = join(folder, part)
        await writeFile(file, text)
        const result = await runProgram(argv(file), { timeoutMs: 20_000 })
        return result.exitCode === 0 ? [] : [{ part, path, message: lastLine(result) }]
      }),
    )
    return results.flat()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
