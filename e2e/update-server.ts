import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { updateApi } from '@atomixos/config'
import { type GatewayNetwork, providerAddress, updateHostName } from './gateway-network.ts'
import { programs } from './setup.ts'

const run = promisify(execFile)

/** Answers one request. */
export type Answer = RequestListener

/**
 * An HTTPS server as the gateway sees it: `https://updates.test`, with a certificate of an authority of its own. It
 * runs in this process, so that a story decides what it does; in the provider's namespace a relay listens.
 */
export interface UpdateServer extends AsyncDisposable {
  readonly url: string
  /** PEM of the authority; a gateway trusts it when it lies in its `server-ca.pem`. */
  readonly authority: string
  /** Each request as `GET /path`, with its headers. */
  readonly requests: { readonly line: string; readonly headers: Readonly<Record<string, unknown>> }[]
  /** What is done with requests from now on. */
  answer: Answer
}

export async function createUpdateServer(network: GatewayNetwork): Promise<UpdateServer> {
  // Sockets have short names, and the lab's folder is what its hosts see.
  const socketPath = join(network.lab.dir, 'https')
  const { key, certificate, authority } = await makeCertificate(network.lab.dir)
  const state: { answer: Answer } = { answer: (_, response) => response.writeHead(404).end() }
  const requests: UpdateServer['requests'] = []
  const server = createServer({ key, cert: certificate }, (request, response) => {
    requests.push({ line: `${request.method} ${request.url}`, headers: request.headers })
    state.answer(request, response)
  })
  await rm(socketPath, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath, resolve)
  })
  const relay = await network.provider.spawn([
    ...['socat', '-d', '-d'],
    ...[`TCP-LISTEN:443,bind=${providerAddress},fork,reuseaddr`, `UNIX-CONNECT:${socketPath}`],
  ])
  // Started is not listening yet, and a device that is refused does not ask again.
  await relay.waitForOutput(/listening on/)
  return {
    url: `https://${updateHostName}`,
    authority,
    requests,
    get answer() {
      return state.answer
    },
    set answer(answer: Answer) {
      state.answer = answer
    },
    async [Symbol.asyncDispose]() {
      await relay.stop()
      await closeServer(server)
    },
  }
}

/** A release server as simple as it can be: the latest version, and its bundle as a file. */
export function serveBundle(version: string, bundle: Buffer): Answer {
  return (request, response) => {
    if (request.url === updateApi.latestPath) {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ version, bundle_url: `https://${updateHostName}/bundle.raucb` }))
    } else if (request.url === '/bundle.raucb') {
      response.setHeader('content-length', bundle.byteLength)
      response.end(bundle)
    } else response.writeHead(404).end()
  }
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}

/** A key and a certificate for `updateHostName`, and the authority that gave it, which nobody knows. */
export async function makeCertificate(dir: string) {
  const path = (name: string) => join(dir, name)
  const openssl = async (...args: string[]) => {
    const [program, ...loader] = programs.argv('openssl')
    await run(program!, [...loader, ...args], { env: { ...programs.env, OPENSSL_CONF: '/dev/null' } })
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await writeFile(
    path('server.ext'),
    `subjectAltName=DNS:${updateHostName}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`,
  )
  await writeFile(
    path('authority.cnf'),
    '[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n',
  )
  await openssl(
    ...['req', '-x509', ...newKey, '-config', path('authority.cnf'), '-days', '30'],
    ...['-subj', '/CN=Story Authority', '-keyout', path('authority.key'), '-out', path('authority.pem')],
  )
  await openssl(
    ...['req', ...newKey, '-config', path('authority.cnf'), '-subj', `/CN=${updateHostName}`],
    ...['-keyout', path('server.key'), '-out', path('server.csr')],
  )
  await openssl(
    ...[
      'x509',
      '-req',
      '-in',
      path('server.csr'),
      '-CA',
      path('authority.pem'),
      '-CAkey',
      path('authority.key'),
    ],
    ...['-CAcreateserial', '-days', '30', '-extfile', path('server.ext'), '-out', path('server.pem')],
  )
  const [key, certificate, authority] = await Promise.all(
    ['server.key', 'server.pem', 'authority.pem'].map((name) => readFile(path(name), 'utf8')),
  )
  return { key: key!, certificate: certificate!, authority: authority! }
}
