/** For tests: the locked programs, and questions over real TLS. Needs what `./atomixos fleet serve` has fetched, or fetches it. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { request } from 'node:https'

export interface Asked {
  readonly status: number
  readonly text: string
}

export function ask(
  port: number,
  options: {
    readonly path: string
    readonly body: string
    readonly ca: string
    readonly token?: string
    readonly method?: string
  },
): Promise<Asked> {
  const { path, body, ca, token, method = 'POST' } = options
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const question = request(
      { host: '127.0.0.1', port, path, method, ca, headers, agent: false },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode!, text }))
        response.once('error', reject)
      },
    )
    question.once('error', reject)
    question.end(body)
  })
}

export const newToken = () => randomBytes(32).toString('base64url')

/** A program that runs until its scope ends, and what it has said. */
export function start(argv: readonly string[]): AsyncDisposable & {
  readonly exited: Promise<number | null>
  readonly said: () => string
} {
  const [program, ...args] = argv
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/bin' } })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      said += chunk.toString('utf8')
    })
  }
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    exited,
    said: () => said,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
