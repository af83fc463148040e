import { connect } from 'node:net'
import { readFrame, writeFrame } from './frames.ts'
import { type AnswerHeader, answerLimits, type DeviceState, type Question } from './questions.ts'

export interface Answered {
  readonly header: AnswerHeader
  readonly body: Buffer
}

export type AskWorker = (question: Question, body?: Uint8Array) => Promise<Answered>

/** Asks the worker behind this socket. Rejects when it does not answer. */
export function workerAt(path: string): AskWorker {
  return async (question, body) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.on('error', () => {})
    try {
      const answered = readFrame(socket, answerLimits)
      writeFrame(socket, question, body)
      const frame = await answered
      return { header: frame.header as AnswerHeader, body: frame.body }
    } finally {
      socket.destroy()
    }
  }
}

export async function askState(ask: AskWorker): Promise<DeviceState> {
  return JSON.parse((await ask({ ask: 'state' })).body.toString('utf8'))
}
