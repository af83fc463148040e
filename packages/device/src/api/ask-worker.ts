import { connect } from 'node:net'
import type { Readable } from 'node:stream'
import { reportLimits } from '@atomixos/config/api/index.ts'
import { readChunks } from './chunks.ts'
import { readFrame, writeFrame } from './frames.ts'
import { type AnswerHeader, answerLimits, type DeviceState, type Question } from './questions.ts'

export interface Answered {
  readonly header: AnswerHeader
  readonly body: Buffer
  /** What follows, where the header says so. It has to be read, or destroyed. */
  readonly rest?: Readable | undefined
}

export type AskWorker = (question: Question, body?: Uint8Array) => Promise<Answered>

/** Asks the worker behind this socket. Rejects when it does not answer. */
export function workerAt(path: string): AskWorker {
  return async (question, body) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.on('error', () => {})
    let handedOn = false
    try {
      const answered = readFrame(socket, answerLimits)
      writeFrame(socket, question, body)
      const frame = await answered
      const header = frame.header as AnswerHeader
      handedOn = header.streamed === true
      return { header, body: frame.body, ...(handedOn && { rest: readChunks(socket, reportLimits) }) }
    } finally {
      if (!handedOn) socket.destroy()
    }
  }
}

export async function askState(ask: AskWorker): Promise<DeviceState> {
  return JSON.parse((await ask({ ask: 'state' })).body.toString('utf8'))
}
