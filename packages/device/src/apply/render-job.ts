import { oneLine } from '@atomixos/config'
import type { ConfigProblem } from '@atomixos/config/operator/index.ts'
import type { Job } from './job.ts'

/** `config.toml:3:1: version: ...`, and below it what to do. Pure. */
export function problemLines(problems: readonly ConfigProblem[], shownMax = 1000): string[] {
  const lines = problems.slice(0, shownMax).flatMap(({ path, line, column, message, hint }) => {
    const place = line === undefined ? 'upload' : `config.toml:${line}:${column}`
    return [
      `${place}: ${path === '' ? '' : `${path}: `}${message}`,
      ...(hint === undefined ? [] : [`  ${hint}`]),
    ]
  })
  const more = problems.length - shownMax
  return more > 0 ? [...lines, `and ${more} more`] : lines
}

/** What has changed in a job since it was last looked at, line by line. Pure. */
export function progressLines(before: Job | undefined, now: Job): string[] {
  const lines: string[] = []
  const seen = new Set(before?.steps.map((step) => stepLine(step)))
  for (const step of now.steps) {
    if (step.state !== 'waiting' && !seen.has(stepLine(step))) lines.push(stepLine(step))
  }
  const services = new Set(before?.services.map(serviceLine))
  for (const service of now.services) {
    if (!services.has(serviceLine(service))) lines.push(serviceLine(service))
  }
  if (now.state === 'waiting-for-confirmation' && before?.state !== now.state) {
    lines.push(
      `it goes back at ${now.confirmBefore}, unless somebody says "atomixctl config confirm"`,
      ...now.addresses.map((address) => `the device is at ${address}`),
    )
  }
  return lines
}

function stepLine({ name, state, message }: Job['steps'][number]): string {
  const word = state === 'running' ? '...' : state
  return `${name.padEnd(10)} ${word}${message === undefined ? '' : `: ${oneLine(message)}`}`
}

function serviceLine({ name, state, required, message }: Job['services'][number]): string {
  const more = message ? ` (${oneLine(message)})` : ''
  return `  ${name}: ${state}${more}${required ? '' : ', not required'}`
}

/** A job on one screen. Pure. */
export function renderJob(job: Job): string {
  const lines = [
    `job ${job.id}, from ${job.source}: ${job.state}`,
    ...progressLines(undefined, job),
    ...problemLines(job.problems),
    ...(job.warnings.length > 0 ? ['warnings:', ...problemLines(job.warnings)] : []),
    ...(job.error === undefined ? [] : [oneLine(job.error, 1000)]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}
