import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Child, startChild } from './child.ts'
import { missing, testPrograms } from './fixtures/programs.ts'
import { lineSplitter, QmpClient, QmpError } from './qmp.ts'
import { connectWhenThere } from './sockets.ts'

test('lines are put together from chunks cut anywhere', () => {
  const lines: string[] = []
  const split = lineSplitter((line) => lines.push(line))
  for (const chunk of ['{"a', '": "ä', '"}\n\n{"b": 1}\n{']) split(Buffer.from(chunk))
  expect(lines).toEqual(['{"a": "ä"}', '', '{"b": 1}'])
})

const absent = missing('qemu-system-aarch64', 'setpriv', 'sh')

describe.skipIf(absent)(`QMP with a real QEMU${absent ? ` (skipped: ${absent})` : ''}`, () => {
  let dir: string
  let qemu: Child
  let qmp: QmpClient

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'qmp-'))
    const programs = testPrograms()
    qemu = await startChild({
      programs,
      argv: [
        ...programs.argv('qemu-system-aarch64'),
        ...['-machine', 'none', '-nodefaults', '-display', 'none'],
        ...['-qmp', `unix:${dir}/qmp,server=on,wait=off`],
      ],
      logPath: join(dir, 'log'),
      deadlineMs: 60_000,
    })
    const limits = { timeoutMs: 30_000, stillPossible: () => qemu.running }
    qmp = await QmpClient.negotiate(await connectWhenThere(join(dir, 'qmp'), limits))
  })
  afterEach(async () => {
    await qemu.kill()
    await rm(dir, { recursive: true })
  })

  test('commands get their own answers, also when they overtake each other', async () => {
    const [status, version] = await Promise.all([qmp.execute('query-status'), qmp.execute('query-version')])
    expect(status).toMatchObject({ running: true })
    expect(version).toMatchObject({ qemu: { major: expect.any(Number) } })
  })

  test("QEMU's refusal is an error in its own words", async () => {
    await expect(qmp.execute('no-such-command')).rejects.toThrow(
      'QEMU refused no-such-command: The command no-such-command has not been found',
    )
    await expect(qmp.execute('no-such-command')).rejects.toMatchObject({ className: 'CommandNotFound' })
    await expect(qmp.execute('no-such-command')).rejects.toBeInstanceOf(QmpError)
  })

  test('events arrive', async () => {
    const stopped = qmp.event('STOP', { timeoutMs: 10_000 })
    await qmp.execute('stop')
    expect((await stopped).name).toBe('STOP')
    await expect(qmp.event('NEVER', { timeoutMs: 50 })).rejects.toThrow('QEMU sent no event NEVER in 0.1 s')
  })

  test('when QEMU dies, everything that waits for it fails at once', async () => {
    const event = expect(qmp.event('NEVER', { timeoutMs: 30_000 })).rejects.toThrow(
      'QEMU ended before its event NEVER',
    )
    await qemu.kill()
    await event
    await expect(qmp.execute('query-status')).rejects.toThrow('QEMU closed its control connection')
  })
})
