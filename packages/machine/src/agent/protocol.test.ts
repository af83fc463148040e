import { expect, test } from 'vitest'
import { credentialName } from '../arguments.ts'
import { type LaneMessage, laneParser, putRequest, runRequest } from './protocol.ts'
import { agentCredentials } from './script.ts'

function parse(...chunks: string[]): LaneMessage[] {
  const messages: LaneMessage[] = []
  const parser = laneParser((message) => messages.push(message))
  for (const chunk of chunks) parser(Buffer.from(chunk))
  return messages
}

test('a request announces its lines', () => {
  expect(runRequest(7, 'a\nb', 60)).toBe('run 7 60 2\na\nb\n')
})

test('a command that no program could be started with is refused', () => {
  expect(() => runRequest(1, 'x'.repeat(200_000), 1)).toThrow('copy a script in instead')
  expect(() => runRequest(1, 'a\0b', 1)).toThrow('zero byte')
})

test('a file request has size, octal mode and path before the bytes', () => {
  expect(putRequest(3, '/run/x', Buffer.from('abc'), 0o600).toString()).toBe('put 3 3 0600\n/run/x\nabc')
  expect(() => putRequest(3, 'relative', Buffer.alloc(0), 0o600)).toThrow('not an absolute guest path')
  expect(() => putRequest(3, '/a\nb', Buffer.alloc(0), 0o600)).toThrow('not an absolute guest path')
})

test('a reply is put together from chunks cut anywhere', () => {
  const text = '.begin 5 2\naGVs\nbG8=\n.err\nIQ==\n.end 5\n'
  const whole = parse(text)
  expect(whole).toEqual([
    { kind: 'reply', id: 5, exitCode: 2, stdout: Buffer.from('hello'), stderr: Buffer.from('!') },
  ])
  expect(parse(...text)).toEqual(whole)
})

test('the tail of a reply that a reset cut off is dropped', () => {
  expect(parse('bG8=\n.end 4\n.ready b1\n.begin 5 0\naGVs\n.ready b2\n.end 5\n')).toEqual([
    { kind: 'ready', bootId: 'b1' },
    { kind: 'ready', bootId: 'b2' },
  ])
})

test('every credential of the agent fits into a fw_cfg name', () => {
  for (const { name } of agentCredentials(4)) expect(() => credentialName(name)).not.toThrow()
})
