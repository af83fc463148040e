import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { UserError } from '@atomixos/image/errors.ts'

export interface Listening extends AsyncDisposable {
  readonly port: number
}

/** Has the server listen; ended, open connections end with it. Port 0: any free one. Throws UserError when it is taken. */
export async function listenAt(server: Server, port: number, host?: string): Promise<Listening> {
  server.listen(port, host)
  await once(server, 'listening').catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`port ${port} can't be listened at: ${cause.code}`, {
      hint: 'choose another with --port',
      cause,
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
