import type { StoryRow, StoryState } from './story-progress.ts'

/** The table of a run while it goes on. Pure: rows in, lines for a terminal of this size out. */
export function renderTable(
  rows: readonly StoryRow[],
  options: {
    readonly columns: number
    /** Lines that there is room for. */
    readonly lines: number
    readonly colour: boolean
    /** The last that the machine of a story under way said. */
    readonly lastSteps: ReadonlyMap<string, string>
  },
): string[] {
  const shown = fitting(rows, Math.max(4, options.lines))
  const nameWidth = Math.max(5, ...rows.map(({ name }) => name.length))
  const head = `  ${'story'.padEnd(nameWidth)}  ${'state'.padEnd(9)}  ${'tests'.padStart(5)}  ${'time'.padStart(6)}`
  const lines = [cut(head, options.columns)]
  for (const row of shown) {
    const tests = row.testCount === 0 ? '' : `${row.ended}/${row.testCount}`
    const time = row.seconds === undefined ? '' : clock(row.seconds)
    const text = cut(
      `${marks[row.state]} ${row.name.padEnd(nameWidth)}  ${row.state.padEnd(9)}  ${tests.padStart(5)}  ${time.padStart(6)}  ${happening(row, options.lastSteps)}`.trimEnd(),
      options.columns,
    )
    lines.push(options.colour ? paint(text, colours[row.failed > 0 ? 'failed' : row.state]) : text)
  }
  if (shown.length < rows.length) lines.push(cut(`  and ${describeRest(rows, shown)}`, options.columns))
  return lines
}

const marks: Readonly<Record<StoryState, string>> = {
  waiting: '·',
  preparing: '◌',
  running: '▶',
  passed: '✓',
  failed: '✗',
  skipped: '-',
}

/** Of SGR; undefined is the terminal's own colour. */
const colours: Readonly<Record<StoryState, number | undefined>> = {
  waiting: 2,
  preparing: undefined,
  running: undefined,
  passed: 32,
  failed: 31,
  skipped: 2,
}

/** A terminal may be lower than the table: what goes on and what failed is never left out while anything else is there. */
function fitting(rows: readonly StoryRow[], lines: number): readonly StoryRow[] {
  if (rows.length + 1 <= lines) return rows
  // Heading and the line about the rest.
  const room = lines - 2
  const order: readonly StoryState[] = ['running', 'preparing', 'failed', 'waiting', 'passed', 'skipped']
  const kept = new Set(
    [...rows].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).slice(0, room),
  )
  return rows.filter((row) => kept.has(row))
}

function describeRest(rows: readonly StoryRow[], shown: readonly StoryRow[]): string {
  const counts = new Map<StoryState, number>()
  for (const row of rows) {
    if (!shown.includes(row)) counts.set(row.state, (counts.get(row.state) ?? 0) + 1)
  }
  return [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
}

function happening(row: StoryRow, lastSteps: ReadonlyMap<string, string>): string {
  if (row.state !== 'preparing' && row.state !== 'running') return ''
  // Each name begins with the story's.
  const tests = row.current.map((test) => test.slice(test.indexOf(' > ') + 1).replace(/^> /, ''))
  return [tests.join(' + '), lastSteps.get(row.name) ?? ''].filter((part) => part !== '').join(' | ')
}

/** `1:07`, `12:00`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.floor(seconds)
  const two = (number: number) => String(number).padStart(2, '0')
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}

function cut(text: string, columns: number): string {
  // One column is left free: a full line would make some terminals begin a new one.
  const characters = [...text]
  return characters.length < columns ? text : `${characters.slice(0, Math.max(1, columns - 2)).join('')}…`
}

function paint(text: string, code: number | undefined): string {
  return code === undefined ? text : `\x1b[${code}m${text}\x1b[0m`
}
