import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from '@atomixos/machine'
import { describe, expect, test } from 'vitest'
import { runPrompt } from './debug-prompt.ts'
import { debugMachine } from './debug-words.ts'

/** What the prompt says to lines that come from a file. */
async function answers(lines: readonly string[], words: Readonly<Record<string, unknown>>): Promise<string> {
  const input = new PassThrough()
  const output = new PassThrough()
  let said = ''
  output.on('data', (bytes) => {
    said += bytes
  })
  const done = runPrompt({
    ...{ words, prompt: '> ', signal: new AbortController().signal },
    input: input as unknown as NodeJS.ReadStream,
    output: output as unknown as NodeJS.WriteStream,
  })
  input.end(lines.map((line) => `${line}\n`).join(''))
  await done
  return said
}

describe('the prompt of e2e debug', () => {
  test('waits for what takes time, one line after the other, and to the last one', async () => {
    const order: string[] = []
    const slow = async (name: string, ms: number) => {
      order.push(`${name} begins`)
      await sleep(ms)
      order.push(`${name} ends`)
      return `said by ${name}`
    }
    const said = await answers(["slow('one', 100)", "slow('two', 10)"], { slow })
    expect(order).toEqual(['one begins', 'one ends', 'two begins', 'two ends'])
    expect(said).toContain('said by one\n')
    expect(said).toContain('said by two\n')
  })

  test('tells the message of what failed, not where in this program, and goes on', async () => {
    const fail = async () => {
      throw new Error('gateway: exit code 1\n  console: ...')
    }
    const said = await answers(['fail()', '20 + 22'], { fail })
    expect(said).toContain('gateway: exit code 1\n  console: ...\n')
    expect(said).not.toContain('debug-prompt')
    expect(said).toContain('42\n')
  })

  test('knows a line that goes on in the next one', async () => {
    expect(await answers(['const x = {', 'a: 41 }', 'x.a + 1'], {})).toContain('42\n')
  })
})

test("the prompt's machine is the machine, with a shell, names for screenshots, and a start that may be repeated", async () => {
  class OneMachine {
    #starts = 0
    get running() {
      return this.#starts > 0
    }
    async start() {
      this.#starts += 1
    }
    async screenshot(file: string) {
      shots.push(file)
    }
  }
  const shots: string[] = []
  const machine = debugMachine(new OneMachine() as unknown as Machine, { dir: '/here', join: async () => {} })
  expect(await machine.start()).toBeUndefined()
  expect(machine.running).toBe(true)
  expect(await machine.start()).toBe('it runs already')
  expect(await machine.screenshot('a')).toBe('/here/a.png')
  expect(await machine.screenshot('/there/b.png')).toBe('/there/b.png')
  expect(shots).toEqual(['/here/a.png', '/there/b.png'])
})
