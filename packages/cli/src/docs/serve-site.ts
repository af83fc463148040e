import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { type Listening, listenAt } from '../listen.ts'
import { filePath } from './links.ts'
import type { Site } from './site.ts'

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.json': 'application/json',
}

/** Hands out the site on this machine. `read` is asked for each page: a reader who reloads sees what was written. */
export async function serveSite(options: {
  readonly rootDir: string
  /** 0: any free one. */
  readonly port: number
  readonly read: () => Promise<Site>
  readonly onFailure: (error: unknown) => void
}): Promise<Listening> {
  let site = await options.read()
  const answer = async (path: string, response: ServerResponse) => {
    if (path.endsWith('.html')) site = await options.read()
    const copy = site.copies.find((one) => filePath(one) === path)
    const body = copy === undefined ? site.files.get(path) : await readFile(join(options.rootDir, copy))
    const type = types[extname(path)] ?? 'text/plain; charset=utf-8'
    response.writeHead(body === undefined ? 404 : 200, {
      'Content-Type': body === undefined ? 'text/plain' : type,
      'Cache-Control': 'no-store',
      'Content-Security-Policy':
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'",
      'X-Content-Type-Options': 'nosniff',
    })
    response.end(body ?? 'there is no such page\n')
  }
  const server = createServer((request, response) => {
    const path = decodePath(request.url ?? '/')
    answer(path === '' ? 'index.html' : path, response).catch((error: unknown) => {
      options.onFailure(error)
      response.writeHead(500, { 'Content-Type': 'text/plain' }).end('the site cannot be built\n')
    })
  })
  // This machine only: whoever wants to publish the site has a web server for that.
  return listenAt(server, options.port, '127.0.0.1')
}

function decodePath(url: string): string {
  try {
    return decodeURIComponent(url.split('?')[0]!).slice(1)
  } catch {
    return ''
  }
}
