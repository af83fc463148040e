import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from './run-program.ts'

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

interface VitestReport {
  readonly success: boolean
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly name: string
    readonly assertionResults: readonly unknown[]
  }[]
}

/** Runs one Vitest project and counts what ran. A file that could not even be loaded counts as one failure. */
export async function runVitest(options: {
  rootDir: string
  project: 'unit' | 'e2e'
  filters?: readonly string[]
  env?: Readonly<Record<string, string>>
  signal: AbortSignal
  stdout?: 'stderr'
  /** Name or path; default: unit tests by file. */
  reporter?: string
  /** Files at a time; default: as the project says. */
  workers?: number
}): Promise<Counts> {
  const reportDir = await mkdtemp(join(tmpdir(), 'atomixos-test-'))
  try {
    const reportPath = join(reportDir, 'report.json')
    const exitCode = await runProgram(
      [
        process.execPath,
        join(options.rootDir, 'node_modules/vitest/vitest.mjs'),
        'run',
        `--project=${options.project}`,
        `--reporter=${options.reporter ?? 'tree'}`,
        '--reporter=json',
        `--outputFile.json=${reportPath}`,
        ...(options.workers === undefined ? [] : [`--maxWorkers=${options.workers}`]),
        ...(options.filters ?? []),
      ],
      {
        cwd: options.rootDir,
        signal: options.signal,
        ...(options.env ? { env: options.env } : {}),
        ...(options.stdout ? { stdout: options.stdout } : {}),
      },
    )
    options.signal.throwIfAborted()
    const text = await readFile(reportPath, 'utf8').catch(() => undefined)
    if (text === undefined) return { passed: 0, failed: 1, skipped: 0 }
    return countReport(JSON.parse(text) as VitestReport, exitCode)
  } finally {
    await rm(reportDir, { recursive: true, force: true })
  }
}

export function countReport(report: VitestReport, exitCode: number): Counts {
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  )
  let failed = report.numFailedTests + broken.length
  // An error outside any test (an unhandled rejection, no test found) fails the run without a failed test.
  if (failed === 0 && (exitCode !== 0 || !report.success)) failed = 1
  return { passed: report.numPassedTests, failed, skipped: report.numPendingTests + report.numTodoTests }
}
