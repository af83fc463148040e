/** What a campaign found, as JSON and as one page that needs nothing else. Pure. */
import type { CheckedPoint } from './check-points.ts'
import { type Phase, phaseMeanings, phases } from './phases.ts'
import type { Defect } from './recording.ts'

/** A point whose disk was given to a machine. */
export interface BootedPoint {
  readonly number: number
  /** undefined: it came up as it should. */
  readonly problem: string | undefined
  readonly expectedSlot: string
  readonly slot: string | undefined
  readonly version: string | undefined
  readonly data: string | undefined
  /** A name, where one was foretold. */
  readonly configuration: string | undefined
  readonly seconds: number
}

export interface DefectRun {
  readonly defect: Defect
  readonly points: number
  readonly torn: number
  readonly bricks: number
  /** Of the first point that found it. */
  readonly example: string | undefined
}

export interface CampaignReport {
  readonly format: 1
  readonly seed: number
  readonly versions: Readonly<Record<'A' | 'B', string>>
  /** Put into the recording on purpose. */
  readonly defect: Defect | undefined
  readonly recording: {
    readonly entries: number
    readonly flushes: number
    readonly writtenBytes: number
    /** Writes that changed something. */
    readonly writes: Readonly<Record<Phase, number>>
  }
  readonly points: readonly CheckedPoint[]
  readonly boots: readonly BootedPoint[]
  readonly defects: readonly DefectRun[]
}

export interface Totals {
  readonly points: number
  readonly whole: number
  readonly torn: number
  readonly bricks: number
  readonly missed: number
}

export function totalsOf(points: readonly CheckedPoint[]): Totals {
  const count = (test: (point: CheckedPoint) => boolean) => points.filter(test).length
  return {
    points: points.length,
    whole: count(({ outcome }) => outcome === 'whole'),
    torn: count(({ outcome }) => outcome === 'torn'),
    bricks: count(({ outcome }) => outcome === 'brick'),
    missed: count(({ hit }) => !hit),
  }
}

/** Nothing was found, and every cut hit. */
export function isGood({ points, boots, defects }: CampaignReport): boolean {
  const { torn, bricks, missed } = totalsOf(points)
  return (
    torn + bricks + missed === 0 &&
    boots.every(({ problem }) => problem === undefined) &&
    defects.every((run) => run.torn + run.bricks > 0)
  )
}

export function renderJson(report: CampaignReport): string {
  const byPhase = Object.fromEntries(
    phases.map((phase) => [phase, totalsOf(report.points.filter((point) => point.phase === phase))]),
  )
  const summary = { good: isGood(report), total: totalsOf(report.points), byPhase }
  const { format, ...rest } = report
  return `${JSON.stringify({ format, summary, ...rest }, undefined, 1)}\n`
}

export function renderPage(report: CampaignReport): string {
  const { points, boots, recording } = report
  const total = totalsOf(points)
  const verdict = isGood(report)
    ? `${total.points} cuts, no brick, nothing torn, every cut hit`
    : `${total.points} cuts: ${total.bricks} bricks, ${total.torn} torn, ${total.missed} that did not hit, ${boots.filter(({ problem }) => problem).length} boots that went wrong`
  const found = points.filter(({ problems, hit }) => problems.length > 0 || !hit)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Power cuts: ${escapeHtml(verdict)}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { border: 1px solid #767676; padding: .25rem .6rem; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums }
thead th { background: #eee }
.wide { overflow-x: auto }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #111 } thead th { background: #333 } }
</style>
</head>
<body>
<main>
<h1>Power cuts</h1>
<p><strong>${isGood(report) ? 'Good' : 'Not good'}:</strong> ${escapeHtml(verdict)}.</p>
<p>Slot A holds ${escapeHtml(report.versions.A)}, slot B gets ${escapeHtml(report.versions.B)}. Seed ${report.seed}. ${
    report.defect === undefined
      ? ''
      : `<strong>With the defect ${escapeHtml(report.defect)}, put in on purpose.</strong> `
  }The recording has ${recording.entries} entries, ${recording.flushes} of them flushes, and ${Math.round(recording.writtenBytes / 1e6)} MB of writes.</p>
<h2>By phase</h2>
${table(
  'Points and outcomes of each phase',
  ['Phase', 'What it is', 'Writes', 'Points', 'Whole', 'Torn', 'Bricks', 'Did not hit'],
  [
    ...phases.map((phase) => {
      const totals = totalsOf(points.filter((point) => point.phase === phase))
      return [phase, phaseMeanings[phase], recording.writes[phase], ...numbersOf(totals)]
    }),
    ['all', '', phases.reduce((sum, phase) => sum + recording.writes[phase], 0), ...numbersOf(total)],
  ],
)}
<h2>Started for real</h2>
${table(
  'Points that were given to a machine',
  ['Point', 'Expected slot', 'Slot', 'Version', '/data', 'Configuration', 'Seconds', 'Result'],
  boots.map((boot) => [
    boot.number,
    boot.expectedSlot,
    boot.slot ?? '',
    boot.version ?? '',
    boot.data ?? '',
    boot.configuration ?? '',
    boot.seconds,
    boot.problem ?? 'came up',
  ]),
)}
<h2>Defects put in on purpose</h2>
${table(
  'What the same checks say of recordings with a defect',
  ['Defect', 'Points', 'Torn', 'Bricks', 'For example'],
  report.defects.map((run) => [run.defect, run.points, run.torn, run.bricks, run.example ?? 'not found']),
)}
<h2>What was found</h2>
${
  found.length === 0
    ? '<p>Nothing.</p>'
    : `<ul>${found
        .map(
          (point) =>
            `<li>Point ${point.number} (${point.phase}, ${point.kind}, ${escapeHtml(victimText(point))}): ${escapeHtml([...point.problems, ...(point.hit ? [] : ['the cut did not hit'])].join('; '))}.</li>`,
        )
        .join('\n')}</ul>`
}
<h2>All points</h2>
<details>
<summary>${points.length} points, each with the write that was cut</summary>
${table(
  'All points, in the order of the recording',
  [
    'Point',
    'Phase',
    'Cut',
    'Write that was cut',
    'Missing afterwards',
    'Others lost, torn',
    'Environment',
    'Next start',
    'Configuration',
    'Outcome',
  ],
  points.map((point) => [
    point.number,
    point.phase,
    point.kind,
    victimText(point),
    `${point.victim.missingSectors} sectors`,
    `${point.othersLost}, ${point.othersTorn}`,
    point.environment,
    `${point.first} (${point.version ?? 'none'})${point.table === 'backup' ? ', backup table' : ''}`,
    point.configuration ?? '',
    point.outcome,
  ]),
)}
</details>
</main>
</body>
</html>
`
}

function numbersOf({ points, whole, torn, bricks, missed }: Totals): number[] {
  return [points, whole, torn, bricks, missed]
}

function victimText({ victim }: CheckedPoint): string {
  const place = `${victim.device}, ${victim.partition ?? 'no partition'}, sector ${victim.sector}`
  return `${victim.what} ${victim.entry}: ${victim.sizeBytes} bytes at ${place}; ${victim.landedBytes} landed`
}

function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  if (rows.length === 0) return '<p>None.</p>'
  const cell = (value: string | number) =>
    typeof value === 'number' ? `<td class="n">${value}</td>` : `<td>${escapeHtml(value)}</td>`
  const row = ([first, ...rest]: readonly (string | number)[]) =>
    `<tr><th scope="row">${escapeHtml(String(first))}</th>${rest.map(cell).join('')}</tr>`
  return `<div class="wide"><table>
<caption>${escapeHtml(caption)}</caption>
<thead><tr>${head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('')}</tr></thead>
<tbody>
${rows.map(row).join('\n')}
</tbody>
</table></div>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`)
}
