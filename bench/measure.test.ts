import { expect, test } from 'vitest'
import { measure } from './measure.ts'

const busy = (seconds: number) =>
  `const used = () => { const { user, system } = process.cpuUsage(); return user + system };
   const end = used() + ${seconds * 1e6}; while (used() < end);`

test('counts what a program and its children use', async () => {
  const parent = `${busy(0.3)} require('node:child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(busy(0.4))}])`
  const { cpuSeconds, wallSeconds } = await measure([process.execPath, '-e', parent])
  expect(cpuSeconds).toBeGreaterThan(0.6)
  expect(cpuSeconds).toBeLessThan(3)
  expect(wallSeconds).toBeGreaterThan(0.6)
})

test('a program that fails is an error with what it said last', async () => {
  await expect(
    measure([process.execPath, '-e', 'console.error("no room"); process.exit(3)']),
  ).rejects.toThrow(/failed with exit code 3:\nno room/)
})
