import { createServer, type Server, type Socket } from 'node:net'
import { reportLimits } from '@atomixos/config/api/index.ts'
import { refusal } from './check-request.ts'
import { writeChunks } from './chunks.ts'
import { FrameError, readFrame, writeFrame } from './frames.ts'
import { parseQuestion, questionLimits } from './questions.ts'
import { createAnswers, refuse, type WorkerAnswer, type WorkerDoors } from './worker-answers.ts'

/** As many as the front asks at a time, and some. */
const connectionsMax = 64

const say = (line: string) => void process.stderr.write(`${line}\n`)

/**
 * The root half of the API: answers one question a connection. Nothing that comes in is believed, as whoever has taken over
 * the front could send it.
 */
export function createWorker(doors: WorkerDoors): Server {
  const answer = createAnswers(doors)
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    serve(socket, answer).catch((error: Error) => {
      if (!(error instanceof FrameError)) say(`<3>${error.stack ?? error.message}`)
      socket.destroy()
    })
  })
  server.maxConnections = connectionsMax
  return server
}

async function serve(socket: Socket, answer: ReturnType<typeof createAnswers>): Promise<void> {
  const { header, body } = await readFrame(socket, questionLimits)
  const question = parseQuestion(header)
  let answered: WorkerAnswer
  if (question === undefined) answered = refuse(refusal(400, 'the question is not understood'))
  else {
    answered = await answer(question, body).catch((error: Error) => {
      say(`<3>${question.ask}: ${error.stack ?? error.message}`)
      return refuse(
        refusal(500, 'the device has failed at this', 'its journal says more: journalctl -u config-worker'),
      )
    })
  }
  writeFrame(socket, answered.header, answered.body)
  if (answered.rest !== undefined) await writeChunks(socket, answered.rest, reportLimits)
  socket.end()
}
