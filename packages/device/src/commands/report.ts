import { spawn } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { collect } from '../report/collect.ts'
import { reportItems } from '../report/contents.ts'
import { UsageError } from '../usage-error.ts'

/** In memory: it takes nothing of a full /data. */
const defaultPath = '/run/atomixos/report.tar.gz'

/** `atomixctl report [FILE|-]`: what a device can tell about itself, for somebody who helps. */
export async function report(args: readonly string[]): Promise<number> {
  const [path = defaultPath, ...others] = args
  if (others.length > 0) throw new UsageError('"report" takes one file, or - for standard output')
  if (path === '-' && process.stdout.isTTY) {
    throw new UsageError('a report is no text for a terminal: send it into a file, "report - >FILE"')
  }
  if (process.getuid?.() !== 0) throw new Error('only root sees all of it; run "run0 atomixctl report"')
  const dir = await mkdtemp('/run/atomixos-report-')
  try {
    // Before the work: a file that can't be written is told at once. An older report of ours is replaced.
    if (path === defaultPath) await rm(path, { force: true })
    const file = path === '-' ? undefined : await open(path, 'wx', 0o600)
    try {
      await collect(reportItems, join(dir, 'report'))
      await pack(dir, file?.fd)
    } catch (error) {
      if (file !== undefined) await rm(path, { force: true })
      throw error
    } finally {
      await file?.close()
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  if (path !== '-') process.stdout.write(`${path}\n`)
  return 0
}

function pack(dir: string, fd: number | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const tar = spawn('/usr/bin/tar', ['-C', dir, '-cz', '--owner=0', '--group=0', 'report'], {
      stdio: ['ignore', fd ?? 'inherit', 'inherit'],
      env: { PATH: '/usr/bin', LC_ALL: 'C.UTF-8' },
    })
    tar.once('error', reject)
    tar.once('close', (code) =>
      code === 0
        ? resolve()
        : reject(
            new Error(`the report could not be packed (tar: ${code}): is there no room, or nobody reading?`),
          ),
    )
  })
}
