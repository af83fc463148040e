import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import { startServer } from './test-server.ts'

/** The real thing: a disk of 64 KiB, mounted for one process only, which anyone may do in a namespace of their own. */
test('a full disk is named as the reason, and no half file counts as good', async () => {
  await using dir = await scratchDir()
  await using server = await startServer((_, response) => response.end(randomBytes(1 << 20)))
  const tools = await (await openTestInputs()).toolTree('tools')
  const { loader } = tools.unconfined()
  const program = (name: string) => [...loader, join(tools.dir, 'usr/bin', name)] as const
  const [start, ...bwrap] = program('bwrap')
  const { stdout } = await promisify(execFile)(start, [
    ...[...bwrap, '--dev-bind', '/', '/', '--size', String(64 << 10), '--tmpfs', dir.path, '--'],
    ...[process.execPath, join(import.meta.dirname, 'full-disk.fixture.ts'), dir.path, server.address],
    ...[join(import.meta.dirname, '../archive/fixtures/sample-xz.deb'), ...program('xz')],
  ])
  const full = (name: string) => ({
    message: `no space left on the disk that holds ${join(dir.path, name)}`,
    hint: 'free some space there and run the command again',
  })
  expect(JSON.parse(stdout)).toEqual([full('downloads'), [], full('packages'), [], full('packages'), []])
})
