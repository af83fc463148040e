import { execFile } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const module = pathToFileURL(`${import.meta.dirname}/run-program.ts`).href

/** What a program run by a process of its own, whose output is no terminal, prints of an expression. */
async function shown(expression: string, env: NodeJS.ProcessEnv): Promise<string> {
  const inner = JSON.stringify(['-e', `console.log(${expression})`])
  const outer = `import { runProgram } from ${JSON.stringify(module)}
    const signal = new AbortController().signal
    process.exitCode = await runProgram([process.execPath, ...${inner}], { cwd: '/', signal })`
  const args = ['--input-type=module', '-e', outer]
  const { stdout } = await promisify(execFile)(process.execPath, args, { env: { PATH: '', ...env } })
  return stdout
}

test('what a program prints arrives, and elsewhere than on a terminal without colour', async () => {
  const expression = 'process.env.NO_COLOR, process.env.FORCE_COLOR, process.env.CI'
  expect(await shown(expression, { FORCE_COLOR: '1', CI: 'true' })).toBe('1 undefined true\n')
})
