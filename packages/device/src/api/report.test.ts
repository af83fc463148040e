import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { workerAt } from './ask-worker.ts'
import { writeChunks } from './chunks.ts'
import { writeFrame } from './frames.ts'
import { openReport } from './open-report.ts'
import { startTestDevice } from './test-device.ts'
import { ask } from './test-requests.ts'

let folder: string
let servers: Server[]
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'report-'))
  servers = []
})
afterEach(async () => {
  for (const server of servers) server.close()
  await rm(folder, { recursive: true, force: true })
})

/** Something that listens, and what it does with who comes. */
async function listen(answer: (socket: Socket) => unknown): Promise<string> {
  const path = join(folder, 'socket')
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    answer(socket)
  })
  servers.push(server)
  server.listen(path)
  await once(server, 'listening')
  return path
}

const limits = { firstMs: 2_000, totalMs: 4_000, bytesMax: 3_000_000 }
const large = Buffer.alloc(2_500_000, 'a report ')

describe('the program behind the socket', () => {
  test('is heard to its end', async () => {
    const path = await listen((socket) => socket.end(large))
    expect((await buffer(await openReport(path, limits))).equals(large)).toBe(true)
  })

  test.each<[string, (socket: Socket) => unknown, string]>([
    [
      'ends before it begins, as one does that is asked twice',
      (socket) => socket.end(),
      'another one may be',
    ],
    ['says nothing', () => {}, 'no report within 0.2 s'],
  ])('that %s is unavailable', async (_, answer, message) => {
    const path = await listen(answer)
    await expect(openReport(path, { ...limits, firstMs: 200 })).rejects.toMatchObject({
      name: 'Unavailable',
      message: expect.stringContaining(message),
    })
  })

  test('that is not there is unavailable', async () => {
    await expect(openReport(join(folder, 'nothing'), limits)).rejects.toMatchObject({ name: 'Unavailable' })
  })

  test('that says too much, or never ends, is left', async () => {
    let left = 0
    const path = await listen((socket) => {
      // Who leaves while the rest is on its way, or when all is.
      socket.on('end', () => socket.destroy()).resume()
      socket.on('close', () => {
        left += 1
      })
      socket.write(large)
    })
    await expect(openReport(path, { ...limits, bytesMax: 1_000_000 }).then(buffer)).rejects.toThrow(
      'larger than',
    )
    await expect(openReport(path, { ...limits, totalMs: 300 }).then(buffer)).rejects.toThrow(
      'no end within 0.3 s',
    )
    for (const until = Date.now() + 5_000; left < 2 && Date.now() < until; ) await pause(20)
    expect(left).toBe(2)
  })
})

describe('from worker to front', () => {
  const header = { status: 200, type: 'application/gzip', streamed: true }
  async function* pieces(...sizes: readonly number[]) {
    for (const size of sizes) yield Buffer.alloc(size, 'x')
  }
  const rest = async (path: string) => buffer((await workerAt(path)({ ask: 'state' })).rest!)

  test('pieces of any size come whole', async () => {
    const path = await listen(async (socket) => {
      writeFrame(socket, header)
      await writeChunks(socket, pieces(1, 3_000_000, 0, 70_000), limits)
      socket.end()
    })
    expect(await rest(path)).toHaveLength(3_070_001)
  })

  test('what is cut off, or no stream, is no answer', async () => {
    let answer: (socket: Socket) => unknown = (socket) => {
      writeFrame(socket, header)
      socket.end(Buffer.from([0, 0, 0, 3, 1, 2, 3]))
    }
    const path = await listen((socket) => answer(socket))
    await expect(rest(path)).rejects.toThrow('the stream is cut off')
    answer = (socket) => {
      writeFrame(socket, header)
      socket.write(Buffer.from([255, 255, 255, 255]))
    }
    await expect(rest(path)).rejects.toThrow('the stream is too large')
    answer = (socket) => {
      writeFrame(socket, { status: 200, type: 'application/json' })
      socket.write('more')
    }
    await expect(workerAt(path)({ ask: 'state' })).rejects.toThrow('longer than it says')
  })
})

test('nobody without a signature gets one, nor before there is a configuration', async () => {
  await using device = await startTestDevice({ folder })
  await writeFile(join(folder, 'report.tar.gz'), large)
  expect((await ask(device.port, '/api/report')).status).toBe(403)
  await writeFile(join(device.configFolder, 'config.toml'), 'x')
  expect((await ask(device.port, '/api/report')).status).toBe(401)
  const socket = connect(device.workerSocket)
  // Nor does who has taken over the front: the worker asks as well.
  writeFrame(socket, { ask: 'api', method: 'GET', target: '/api/report' })
  expect((await buffer(socket)).toString()).toContain('this needs the signature of an administrator')
})
