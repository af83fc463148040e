import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Reporter } from '../reporter.ts'
import { scratchDir } from '../tools/test-inputs.ts'
import { Fetcher, LockedFileGone, type WantedFile } from './fetcher.ts'
import { sendWithRanges, startServer, type TestServer } from './test-server.ts'

const files = new Map(
  Array.from({ length: 20 }, (_, index) => [`/debian/pool/f${index}.deb`, randomBytes(20_000 + index)]),
)

function want(path: string, wantedBy = 'rootfs'): WantedFile {
  const bytes = files.get(path)!
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return {
    file: { archive: 'debian', path: path.slice('/debian/'.length), sizeBytes: bytes.length, sha256 },
    wantedBy,
  }
}

function recorder() {
  const lines: string[] = []
  const reporter: Reporter = {
    task: (title) => {
      let last = ''
      return {
        progress: (done, total, unit) => {
          last = `${done} of ${total} ${unit}`
        },
        done: () => void lines.push(`${title}: ${last}`),
        failed: () => void lines.push(`${title}: failed`),
      }
    },
    info: () => {},
    warn: () => {},
  }
  return { reporter, lines }
}

async function openFetcher(server: TestServer, cacheDir: string) {
  const { reporter, lines } = recorder()
  const mirrors = () => ({
    debian: `${server.address}/debian`,
    'debian-security': `${server.address}/debian-security`,
    snapshot: undefined,
  })
  const fetcher = new Fetcher({
    cacheDir,
    mirrors,
    epochSeconds: 0,
    reporter,
    signal: new AbortController().signal,
  })
  return { fetcher, lines }
}

describe('fetching locked files', () => {
  test('brings each once, some at a time, with one display', async () => {
    await using dir = await scratchDir()
    // The first answers wait until six requests are there; were they fewer at a time, this would never end.
    const held: (() => void)[] = []
    let open = 0
    let openMax = 0
    await using server = await startServer((request, response, count) => {
      openMax = Math.max(openMax, ++open)
      const answer = () => {
        open -= 1
        sendWithRanges(request, response, files.get(request.url!)!)
      }
      if (count < 6) held.push(answer)
      else for (const next of [...held.splice(0), answer]) next()
    })
    const { fetcher, lines } = await openFetcher(server, dir.path)
    const wanted = [...files.keys()].flatMap((path) => [want(path), want(path, 'initrd')])
    await fetcher.fetch(wanted)
    await fetcher.fetch(wanted)
    const total = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0)
    expect(lines).toEqual([`fetch 20 files: ${total} of ${total} bytes`])
    expect(server.requests).toHaveLength(20)
    expect(openMax).toBe(6)
    for (const { file } of wanted) expect((await readFile(fetcher.pathOf(file))).length).toBe(file.sizeBytes)
  })

  test('needs no mirror when everything is there', async () => {
    await using dir = await scratchDir()
    const path = [...files.keys()][0]!
    const { file } = want(path)
    await mkdir(join(dir.path, 'downloads'))
    await writeFile(join(dir.path, 'downloads', file.sha256), files.get(path)!)
    const mirrors = () => {
      throw new Error('no mirror')
    }
    const { reporter } = recorder()
    const fetcher = new Fetcher({
      cacheDir: dir.path,
      mirrors,
      epochSeconds: 0,
      reporter,
      signal: new AbortController().signal,
    })
    await expect(fetcher.fetch([want(path)])).resolves.toBeUndefined()
  })

  test('names every file that is gone and the targets that it belongs to', async () => {
    await using dir = await scratchDir()
    const gone = ['/debian/pool/f3.deb', '/debian/pool/f7.deb']
    await using server = await startServer((request, response) => {
      if (gone.includes(request.url!)) response.writeHead(404).end()
      else sendWithRanges(request, response, files.get(request.url!)!)
    })
    const { fetcher, lines } = await openFetcher(server, dir.path)
    const wanted = [...[...files.keys()].map((path) => want(path)), want(gone[1]!, 'initrd')]
    const error = await fetcher.fetch(wanted).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(LockedFileGone)
    expect((error as LockedFileGone).message).toBe(
      'the mirror no longer has f3.deb, f7.deb (locked for initrd, rootfs)',
    )
    expect((error as LockedFileGone).targets).toEqual(['initrd', 'rootfs'])
    expect(lines).toEqual(['fetch 20 files: failed'])
    // The others are there for the next try.
    expect(await readdir(join(dir.path, 'downloads'))).toHaveLength(18)
  })

  test('stops at the first file that is wrong', async () => {
    await using dir = await scratchDir()
    await using server = await startServer((_, response) => response.end('something else'))
    const { fetcher } = await openFetcher(server, dir.path)
    await expect(fetcher.fetch([...files.keys()].map((path) => want(path)))).rejects.toThrow(
      /^f\d+\.deb has the wrong content: its hash or size is not the expected one$/,
    )
    const names = await readdir(join(dir.path, 'downloads'))
    expect(names.filter((name) => !name.endsWith('.part'))).toEqual([])
    expect(server.requests.length).toBeLessThanOrEqual(6)
  })
})
