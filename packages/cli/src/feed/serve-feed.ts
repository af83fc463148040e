import { createHash, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { isIP } from 'node:net'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { isFeedPath } from '@atomixos/config'
import { UserError } from '@atomixos/image/errors.ts'
import { runOpenssl } from '@atomixos/image/keys/openssl.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { type Listening, listenAt } from '../listen.ts'

/** A small web server for trying out a feed: files, ranges, strong validators. */

export interface ServerCertificate {
  readonly keyPath: string
  readonly certificatePath: string
}

export async function serveFeed(options: {
  readonly dir: string
  readonly port: number
  /** undefined: without encryption. */
  readonly certificate: ServerCertificate | undefined
  readonly onRequest?: (line: string) => void
}): Promise<Listening> {
  const { dir, port, certificate, onRequest } = options
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    response.on('close', () => onRequest?.(`${request.method} ${request.url} ${response.statusCode}`))
    handOut(dir, request, response).catch(() => response.destroy())
  }
  const server =
    certificate === undefined
      ? createHttpServer(answer)
      : createHttpsServer(
          { key: await readFile(certificate.keyPath), cert: await readFile(certificate.certificatePath) },
          answer,
        )
  return listenAt(server, port)
}

async function handOut(dir: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number, headers: Record<string, string | number> = {}) => {
    response.writeHead(status, { 'Content-Length': 0, ...headers }).end()
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(405, { Allow: 'GET, HEAD' })
  // Plain segments only, none of which begins with a point: nothing outside, nothing hidden, nothing half written.
  const path = (request.url ?? '').split('?')[0]!.slice(1)
  const file = isFeedPath(path) ? await open(join(dir, path), 'r').catch(() => undefined) : undefined
  if (file === undefined) return end(404)
  try {
    const status = await file.stat()
    if (!status.isFile()) return end(404)
    const etag = `"${createHash('sha256').update(`${status.ino} ${status.size} ${status.mtimeMs}`).digest('hex').slice(0, 32)}"`
    const headers = {
      ETag: etag,
      'Accept-Ranges': 'bytes',
      'Content-Type': 'application/octet-stream',
      // A channel must never be older than it is.
      'Cache-Control': path.endsWith('.channel') ? 'no-cache' : 'max-age=31536000, immutable',
    }
    if (request.headers['if-none-match'] === etag) return end(304, headers)
    const range = rangeOf(request, etag, status.size)
    if (range === 'none') return end(416, { ...headers, 'Content-Range': `bytes */${status.size}` })
    const { start, end: last } = range ?? { start: 0, end: status.size - 1 }
    response.writeHead(range === undefined ? 200 : 206, {
      ...headers,
      'Content-Length': last - start + 1,
      ...(range && { 'Content-Range': `bytes ${start}-${last}/${status.size}` }),
    })
    if (request.method === 'HEAD' || status.size === 0) return void response.end()
    await pipeline(file.createReadStream({ start, end: last, autoClose: false }), response)
  } finally {
    await file.close()
  }
}

/** One range, as our devices ask for it; anything else is answered with everything. */
function rangeOf(
  { headers }: IncomingMessage,
  etag: string,
  sizeBytes: number,
): { readonly start: number; readonly end: number } | 'none' | undefined {
  const match = /^bytes=(\d{1,15})-(\d{1,15})?$/.exec(headers.range ?? '')
  if (match === null || (headers['if-range'] !== undefined && headers['if-range'] !== etag)) return undefined
  const start = Number(match[1])
  const end = Math.min(match[2] === undefined ? Infinity : Number(match[2]), sizeBytes - 1)
  return start >= sizeBytes || end < start ? 'none' : { start, end }
}

const names = { key: 'key.pem', certificate: 'certificate.pem' } as const
const validDays = 365

/** A certificate that is its own authority; made when there is none for these names that holds for another week. */
export async function openServerCertificate(
  tools: ToolTree,
  options: { readonly dir: string; readonly hosts: readonly string[] },
): Promise<ServerCertificate> {
  const { dir, hosts } = options
  const made = { keyPath: join(dir, names.key), certificatePath: join(dir, names.certificate) }
  if (existsSync(made.certificatePath) && fits(await readFile(made.certificatePath), hosts)) return made
  for (const host of hosts) {
    if (/^[A-Za-z0-9.:-]{1,253}$/.test(host)) continue
    throw new UserError(`"${host}" is no name or address of a server`, { exitCode: 2 })
  }
  await mkdir(dirname(dir), { recursive: true })
  const unfinished = await mkdtemp(`${dir}.new-`)
  try {
    await writeFile(join(unfinished, 'openssl.cnf'), renderRequest(hosts))
    await runOpenssl(tools, {
      arguments: [
        ...['req', '-x509', '-config', '/new/openssl.cnf', '-days', String(validDays), '-nodes'],
        ...[
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-subj',
          '/CN=AtomixOS feed for trying out',
        ],
        ...['-keyout', `/new/${names.key}`, '-out', `/new/${names.certificate}`],
      ],
      purpose: 'to make a certificate for the feed server',
      mounts: [{ hostPath: unfinished, guestPath: '/new', writable: true }],
    })
    await rm(join(unfinished, 'openssl.cnf'))
    await rm(dir, { recursive: true, force: true })
    await rename(unfinished, dir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  return made
}

function fits(pem: Buffer, hosts: readonly string[]): boolean {
  const certificate = new X509Certificate(pem)
  const week = 7 * 86_400_000
  if (Date.parse(certificate.validTo) < Date.now() + week) return false
  return hosts.every(
    (host) => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined,
  )
}

function renderRequest(hosts: readonly string[]): string {
  const alternatives = hosts.map((host) => `${isIP(host) ? 'IP' : 'DNS'}:${host}`).join(',')
  return [
    ...['[req]', 'distinguished_name = name', 'x509_extensions = server', '[name]', '[server]'],
    ...['basicConstraints = critical, CA:true, pathlen:0', 'extendedKeyUsage = serverAuth'],
    ...['subjectKeyIdentifier = hash', `subjectAltName = ${alternatives}`, ''],
  ].join('\n')
}
