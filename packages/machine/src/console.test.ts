import { expect, test } from 'vitest'
import { ConsoleBuffer } from './console.ts'

function consoleWith(...chunks: (string | Buffer)[]): ConsoleBuffer {
  const buffer = new ConsoleBuffer('/log')
  for (const chunk of chunks) buffer.receive(Buffer.from(chunk as string))
  return buffer
}

test('colours, titles and carriage returns are not text', () => {
  const raw = '\x1b[1;32mok\x1b[0m\r\n\x1b]0;title\x07next\x1b[?25l\x1b(B\r\n'
  expect(consoleWith(raw).text).toBe('ok\nnext\n')
  expect(consoleWith(...raw).text).toBe(consoleWith(raw).text)
})

test('a letter cut between two chunks is put together', () => {
  const bytes = Buffer.from('Ätsch')
  expect(consoleWith(bytes.subarray(0, 1), bytes.subarray(1)).text).toBe('Ätsch')
})

test('a match tells its groups and where to go on', () => {
  const found = consoleWith('try slot A\ntry slot B\n')
  const first = found.find(/slot ([AB])/g, 0)
  expect(first).toEqual({ text: 'slot A', groups: ['A'], end: 10 })
  expect(found.find(/slot ([AB])/, first!.end)?.groups).toEqual(['B'])
  expect(found.find('slot (', 0)).toBeUndefined()
})

test('a panic counts until the next boot', () => {
  const buffer = consoleWith('[ 1.0] Kernel pan', 'ic - not syncing: no root\n', 'more\n')
  expect(buffer.panic).toBe('Kernel panic - not syncing: no root')
  buffer.markBoot()
  buffer.receive(Buffer.from('U-Boot\n'))
  expect(buffer.panic).toBeUndefined()
})

test('the tail is the last lines', () => {
  expect(consoleWith('a\nb\nc\n').tail(2)).toBe('b\nc')
})
