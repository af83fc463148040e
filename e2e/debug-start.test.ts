import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { debugStartOf } from './debug-start.ts'

const suffix = '.e2e.ts'
const stories = readdirSync(import.meta.dirname).filter((name) => name.endsWith(suffix))

test.each(stories)('who debugs %s begins where it begins', (file) => {
  const text = readFileSync(join(import.meta.dirname, file), 'utf8')
  const uses = (pattern: RegExp, start: string) => (pattern.test(text) ? [start] : [])
  const saved = [
    ...uses(/\bprovisioned(Gateway|State)\(/, 'provisioned'),
    ...uses(/\bpendingState\(/, 'pending'),
  ]
  expect(saved.length > 0 ? saved : ['flashed']).toContain(debugStartOf(file.slice(0, -suffix.length)))
})
