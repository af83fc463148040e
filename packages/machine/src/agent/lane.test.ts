import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Lane } from './lane.ts'

let dir: string
let lane: Lane
/** The guest's end of the connection. */
let guest: Socket
let stop: () => void

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lane-'))
  const path = join(dir, 'socket')
  const accepted = Promise.withResolvers<Socket>()
  const server = createServer(accepted.resolve)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const socket = connect(path)
  guest = await accepted.promise
  stop = () => {
    guest.destroy()
    server.close()
  }
  lane = new Lane(() => {})
  lane.attach(socket)
  guest.write('.ready boot1\n')
  await expect.poll(() => lane.idle).toBe(true)
})
afterEach(async () => {
  stop()
  await rm(dir, { recursive: true })
})

test('a reply to an abandoned request frees the lane and is given to nobody else', async () => {
  const hung = lane.request(1, 'run 1 60 0\n')
  lane.abandon(new Error('given up'))
  await expect(hung).rejects.toThrow('given up')
  expect(lane.idle).toBe(false)
  guest.write('.begin 1 0\n.err\n.end 1\n')
  await expect.poll(() => lane.idle).toBe(true)
  const next = lane.request(2, 'run 2 60 0\n')
  guest.write('.begin 1 9\n.err\n.end 1\n.begin 2 0\n.err\n.end 2\n')
  expect(await next).toMatchObject({ id: 2, exitCode: 0 })
})

test('a guest that starts over has forgotten what it was asked', async () => {
  const lost = expect(lane.request(1, 'run 1 60 0\n')).rejects.toThrow('the guest restarted')
  guest.write('.ready boot2\n')
  await lost
  expect([lane.idle, lane.bootId]).toEqual([true, 'boot2'])
})

test('an answer to the greeting of an older connection does not count', async () => {
  lane.bootId = undefined
  guest.write('.hello other boot9\n')
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(lane.bootId).toBeUndefined()
  guest.write('.hello c1 boot1\n')
  await expect.poll(() => lane.bootId).toBe('boot1')
})

test('a connection that ends takes its request with it', async () => {
  const lost = expect(lane.request(1, 'run 1 60 0\n')).rejects.toThrow('the machine went away')
  guest.destroy()
  await lost
  expect(lane.idle).toBe(false)
})
