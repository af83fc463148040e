import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuthorityPaths } from './authorities.ts'
import { makeCertificate, type TestCertificate } from './test-certificates.ts'

export interface TestServer extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`. */
  readonly address: string
  readonly requests: readonly IncomingMessage[]
}

export const authority = makeCertificate({ name: 'test authority', authority: true })
export const serverCertificate = makeCertificate({
  name: 'test server',
  issuer: authority,
  ipAddress: '127.0.0.1',
})

/** For tests: a real server on the loopback address whose answers the test decides. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => void,
  certificate: TestCertificate = serverCertificate,
): Promise<TestServer> {
  const requests: IncomingMessage[] = []
  const listener: RequestListener = (request, response) => {
    requests.push(request)
    response.on('error', () => {})
    answer(request, response, requests.length)
  }
  const server = createServer({ key: certificate.keyPem, cert: certificate.pem }, listener)
  server.on('tlsClientError', () => {})
  return { ...(await listen(server, 'https')), requests }
}

export async function listen(
  server: Pick<Server, 'listen' | 'once' | 'close' | 'address'> & { closeAllConnections?(): void },
  scheme: string,
): Promise<AsyncDisposable & { readonly address: string }> {
  server.listen(0, '127.0.0.1')
  await once(server as Server, 'listening')
  return {
    address: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections?.()
      server.close()
      await once(server as Server, 'close')
    },
  }
}

export interface Scratch extends AsyncDisposable {
  readonly path: string
  /** The test's own authority is the private one; nobody is trusted publicly. */
  readonly authorities: AuthorityPaths
}

/** For tests: an empty folder, and authorities beside it. */
export async function scratch(): Promise<Scratch> {
  const root = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
  const authorities = { public: join(root, 'public.crt'), private: join(root, 'private.pem') }
  const other = makeCertificate({ name: 'public authority', authority: true })
  await writeFile(authorities.public, other.pem)
  await writeFile(authorities.private, authority.pem)
  return {
    path: join(root, 'folder'),
    authorities,
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}

/** For tests: how the work failed; work that does not is a failure of the test. */
export async function failure(work: Promise<unknown>): Promise<Error & { kind?: string; code?: string }> {
  return work.then(
    () => {
      throw new Error('nothing failed')
    },
    (error) => error,
  )
}

/**
 * Cuts a connection when what it brought is in the file, however busy the machine is: a client may drop what it has in
 * hand when a connection ends. After five seconds anyway, for a client that keeps nothing.
 */
export async function cutWhenThere(response: ServerResponse, path: string, sizeBytes: number): Promise<void> {
  const end = performance.now() + 5000
  const size = () =>
    stat(path).then(
      ({ size }) => size,
      () => 0,
    )
  while ((await size()) < sizeBytes && !response.closed && performance.now() < end) await sleep(5)
  response.destroy()
}
