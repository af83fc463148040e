import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { silentReporter } from '../reporter.ts'
import { scratchDir } from '../tools/test-inputs.ts'
import { fetchNpmPackage } from './npm-package.ts'
import { startServer } from './test-server.ts'

/** npm only passes the file on; what is in it does not matter to it. */
const tarball = gzipSync(Buffer.alloc(2048))
const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`

/** The two answers of a registry that `npm pack` asks for, from a server of our own. */
function startRegistry(announced = integrity) {
  return startServer((request, response) => {
    const base = `http://${request.headers.host}`
    if (request.url === '/runtime') {
      const dist = { tarball: `${base}/runtime.tgz`, integrity: announced }
      const version = { name: 'runtime', version: '1.2.3', dist }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({ name: 'runtime', 'dist-tags': { latest: '1.2.3' }, versions: { '1.2.3': version } }),
      )
    } else if (request.url === '/runtime.tgz') response.end(tarball)
    else response.writeHead(404).end('{}')
  })
}

const before = { ...process.env }
afterEach(() => {
  process.env = { ...before }
})

async function bring(locked: { name?: string; integrity?: string } = {}) {
  const dir = await scratchDir()
  await using registry = await startRegistry()
  process.env.npm_config_registry = registry.address
  process.env.npm_config_cache = join(dir.path, 'npm-cache')
  process.env.npm_config_fetch_retries = '0'
  const options = {
    cacheDir: dir.path,
    rootDir: dir.path,
    reporter: silentReporter,
    signal: new AbortController().signal,
  }
  const wanted = { name: 'runtime', version: '1.2.3', integrity, ...locked }
  const outcome = await fetchNpmPackage(wanted, options).then(
    async (path) => ({ path, again: await fetchNpmPackage(wanted, options), bytes: await readFile(path) }),
    (error: Error) => ({ error }),
  )
  const left = await readdir(join(dir.path, 'downloads'))
  await dir[Symbol.asyncDispose]()
  return { outcome, left, requests: [...registry.requests] }
}

describe('a package of the npm registry', () => {
  test("comes through the host's npm, once", async () => {
    const { outcome, left, requests } = await bring()
    expect(outcome).toMatchObject({ bytes: tarball })
    expect(left).toHaveLength(1)
    expect(requests.filter((request) => request === 'GET /runtime.tgz')).toHaveLength(1)
  })

  test('with another integrity than the locked one is refused', async () => {
    const { outcome, left } = await bring({ integrity: `sha512-${'A'.repeat(86)}==` })
    expect(outcome).toMatchObject({
      error: { message: 'runtime@1.2.3 is not what was locked: its sha512 differs' },
    })
    expect(left).toEqual([])
  })

  test('that is not there is told in the words of npm', async () => {
    const { outcome, left } = await bring({ name: 'nothing' })
    expect((outcome as { error: Error }).error.message).toMatch(
      /^npm could not fetch nothing@1\.2\.3 \(exit code 1\):\n.*E404/s,
    )
    expect(left).toEqual([])
  })
})
