import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { hostileValue, Random } from '@atomixos/config/network/test-random.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { workerAt } from './ask-worker.ts'
import { attemptEveryMs, openClaims } from './claims.ts'
import { openNonces } from './nonces.ts'
import { parseQuestion, type Question } from './questions.ts'
import { startTestDevice } from './test-device.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'worker-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('nonces', () => {
  test('are good once, and for 300 seconds', () => {
    let now = 5_000
    const nonces = openNonces(folder, () => now)
    const [one, two] = [nonces.issue(), nonces.issue()]
    expect(one).toMatch(/^[A-Za-z0-9_-]{54}$/)
    expect(nonces.check(one)).toBe('good')
    expect([nonces.use(one), nonces.use(one), nonces.check(one)]).toEqual(['good', 'used', 'used'])
    now += 299_999
    expect(nonces.check(two)).toBe('good')
    now += 1
    expect([nonces.check(two), nonces.use(two)]).toEqual(['expired', 'expired'])
  })

  test('outlive the process, used ones as well', () => {
    const before = openNonces(folder)
    const [one, two] = [before.issue(), before.issue()]
    before.use(one)
    const after = openNonces(folder)
    expect([after.use(one), after.use(two)]).toEqual(['used', 'good'])
  })

  test('are none of another start, nor made up', () => {
    const nonces = openNonces(folder)
    const other = openNonces(join(folder, 'other')).issue()
    const own = nonces.issue()
    const changed = `${own[0] === 'A' ? 'B' : 'A'}${own.slice(1)}`
    for (const made of [other, changed, `${own}A`, own.slice(1), '', 'x', `${own}=`, ` ${own}`]) {
      expect(nonces.check(made)).toBe('unknown')
    }
  })

  test('asking for very many takes nothing from others; used ones are bounded', () => {
    let now = 0
    const nonces = openNonces(folder, () => now)
    const first = nonces.issue()
    for (let count = 0; count < 5_000; count += 1) nonces.issue()
    expect(nonces.use(first)).toBe('good')
    for (let count = 1; count < 1024; count += 1) expect(nonces.use(nonces.issue())).toBe('good')
    expect(nonces.use(nonces.issue())).toBe('full')
    now += 300_000
    expect(nonces.use(nonces.issue())).toBe('good')
  })
})

describe('claim codes', () => {
  test('wrong ones are counted over the end of the process, and time forgives', async () => {
    let now = 7_000_000
    const codePath = join(folder, 'code')
    await writeFile(codePath, 'mango\n')
    const open = () => openClaims({ codePath, folder }, () => now)
    for (let count = 0; count < 5; count += 1) expect(open().check('x')).toBe('wrong')
    expect(open().check('mango')).toBe('later')
    now += attemptEveryMs - 1
    expect(open().check('mango')).toBe('later')
    now += 1
    expect(open().check('mango')).toBe('right')
    now += 100 * attemptEveryMs
    for (let count = 0; count < 5; count += 1) expect(open().check('x')).toBe('wrong')
    expect(open().check('x')).toBe('later')
  })

  test('none given is none tried', async () => {
    const codePath = join(folder, 'code')
    await writeFile(codePath, 'mango\n')
    const claims = openClaims({ codePath, folder })
    for (let count = 0; count < 20; count += 1) expect(claims.check(undefined)).toBe('wrong')
    expect(claims.check('mango')).toBe('right')
  })
})

describe('questions', () => {
  test.each<[unknown, boolean]>([
    [{ ask: 'state' }, true],
    [{ ask: 'state', more: 1 }, false],
    [{ ask: 'form' }, true],
    [{ ask: 'form', claim: 1 }, false],
    [{ ask: 'applied', id: '0123456789abcdef' }, true],
    [{ ask: 'applied', id: '../../etc/shadow' }, false],
    [{ ask: 'applied', id: '0123456789abcdef\n' }, false],
    [{ ask: 'api', method: 'GET', target: '/' }, true],
    [{ ask: 'api', method: 'GET' }, false],
    [{ ask: 'api', method: 'GET', target: 'x'.repeat(5_000) }, false],
    [{ ask: 'api', method: 'GET', target: '/', admin: 'alice' }, false],
    [{ ask: 'submit' }, false],
    [[], false],
    [null, false],
  ])('%j: %s', (value, good) => {
    expect(parseQuestion(value) !== undefined).toBe(good)
  })
})

describe('whoever has taken over the front', () => {
  test.each([1, 2])('gets nothing done by anything that he sends (seed %i)', async (seed) => {
    await using device = await startTestDevice({ folder })
    await writeFile(join(device.configFolder, 'config.toml'), 'version = 1\n')
    const random = new Random(seed)
    const ask = workerAt(device.workerSocket)
    for (let count = 0; count < 300; count += 1) {
      const question = random.pick<unknown>([
        hostileValue(random),
        { ask: 'api', method: hostileValue(random), target: hostileValue(random) },
        { ask: 'api', method: 'POST', target: '/api/config', nonce: 'x', signature: 'x' },
        { ask: 'form', claim: hostileValue(random) },
      ])
      const { header } = await ask(question as Question, Buffer.from('x'.repeat(random.below(100))))
      expect(header.status).toBeGreaterThanOrEqual(400)
      expect(header.status).toBeLessThan(500)
    }
    expect(device.back.requests).toEqual([])
  })

  test.each<[string, Buffer]>([
    ['lengths beyond all limits', Buffer.from('ffffffffffffffff', 'hex')],
    ['a header that is no JSON', Buffer.concat([Buffer.from('0000000300000000', 'hex'), Buffer.from('{x}')])],
    ['more than it says', Buffer.concat([Buffer.from('0000000200000000', 'hex'), Buffer.from('{}xx')])],
    ['less than it says', Buffer.concat([Buffer.from('0000000900000000', 'hex'), Buffer.from('{}')])],
    ['nothing', Buffer.alloc(0)],
  ])('%s: no answer, and the worker goes on', async (_, bytes) => {
    await using device = await startTestDevice({ folder })
    const socket = connect(device.workerSocket)
    socket.on('error', () => {})
    socket.end(bytes)
    expect(await buffer(socket).catch(() => Buffer.alloc(0))).toHaveLength(0)
    expect((await workerAt(device.workerSocket)({ ask: 'state' })).header.status).toBe(200)
  })
})
