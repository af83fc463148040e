import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { partNames } from '@atomixos/image/build/export-board.ts'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { expect, test } from 'vitest'
import { createProgram } from '../program.ts'
import { TerminalReporter } from '../terminal-reporter.ts'

const rootDir = join(import.meta.dirname, '../../../..')

test('mise has a task of the same name for every command, artifact and story', () => {
  const tasks = new Map(
    [
      ...readFileSync(join(rootDir, 'mise.toml'), 'utf8').matchAll(
        /^\[tasks\.(.+)\]\n(?:.+\n)*?run = "(.+)"$/gm,
      ),
    ].map(([, name, run]) => [name!.replaceAll('"', ''), run]),
  )
  const program = createProgram({
    workspace: workspaceAt(rootDir),
    reporter: new TerminalReporter(),
    signal: new AbortController().signal,
  })
  const stories = readdirSync(join(rootDir, 'e2e')).flatMap((name) =>
    name.endsWith('.e2e.ts') ? [`e2e ${name.slice(0, -'.e2e.ts'.length)}`] : [],
  )
  const commands = [
    ...program.commands.map((command) => command.name()),
    ...partNames.map((name) => `build ${name}`),
    ...['docs build', 'docs serve'],
    ...stories,
  ]
  for (const command of commands) {
    expect(tasks.get(command.replace(' ', ':')), `task of ${command}`).toBe(`./atomixos ${command}`)
  }
})
