import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { requireActivation } from './serve-until-idle.ts'

/** Says hello to each connection; gone when nobody has been there for half a second. */
const program = `
const { activationSocket, requireActivation, serveUntilIdle } = await import(${JSON.stringify(join(import.meta.dirname, 'serve-until-idle.ts'))})
const { createServer } = await import('node:net')
requireActivation(process.env, 'story')
await serveUntilIdle(createServer((socket) => socket.end('hello')), activationSocket, { idleMs: 500 })
`

/** Holds the socket as systemd does, and takes nothing from it; for each line a service is started with it. */
const manager = `while read -r _; do
  sh -c 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"' sh "$@" </dev/null
  echo "left with $?"
done`

test('serves, leaves when nobody is there, and what comes then waits for the next one', async () => {
  const socket = createServer()
  socket.listen(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address() as AddressInfo
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  const node = [process.execPath, '--input-type=module', '-e', program]
  const held = spawn('sh', ['-c', manager, 'sh', ...node], { stdio: ['pipe', 'pipe', 'inherit', fd] })
  socket.close()
  const lines = createInterface({ input: held.stdout! })
  const hello = async () => (await buffer(connect(port, '127.0.0.1'))).toString()

  const left = once(lines, 'line')
  held.stdin!.write('start\n')
  expect(await hello()).toBe('hello')
  expect(await left).toEqual(['left with 0'])
  const waiting = hello()
  held.stdin!.end('start\n')
  expect(await waiting).toBe('hello')
  await once(held, 'close')
})

test('without such a socket it says how it is started', () => {
  expect(() => requireActivation({}, 'api-front')).toThrow('see api-front.socket')
  const others = { LISTEN_FDS: '1', LISTEN_PID: '1' }
  expect(() => requireActivation(others, 'api-front')).toThrow('see api-front.socket')
})
