/** What stood in a terminal, as a picture for documents: lines with "# " were typed. Pure. */
export function renderTerminal(text: string, label: string): string {
  const lines = text.trimEnd().split('\n').flatMap(folded)
  const width = Math.max(...lines.map(({ length }) => length)) * characterPx + 2 * marginPx
  const height = lines.length * linePx + 2 * marginPx + barPx
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${Math.ceil(width)} ${height}" role="img" aria-label="${escaped(label)}">
  <style>
    text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #d7dde4; white-space: pre; }
    .typed { fill: #ffffff; font-weight: 700; } .bad { fill: #ff9b92; } .good { fill: #7bd88f; }
    .edge { fill: #14181d; stroke: #57606a; } .button { fill: #57606a; }
  </style>
  <rect class="edge" x="0.5" y="0.5" width="${Math.ceil(width) - 1}" height="${height - 1}" rx="8" />
${[0, 1, 2].map((index) => `  <circle class="button" cx="${marginPx + 4 + index * 16}" cy="${barPx / 2 + 4}" r="5" />`).join('\n')}
${lines.map((line, index) => `  <text xml:space="preserve" class="${toneOf(line)}" x="${marginPx}" y="${Math.round(barPx + marginPx + (index + 0.6) * linePx)}">${escaped(line)}</text>`).join('\n')}
</svg>
`
}

const [characterPx, linePx, marginPx, barPx] = [8, 19, 16, 20]
const columnsMax = 104

/** Lines that a terminal would break. */
function folded(line: string): string[] {
  const parts: string[] = []
  for (let rest = line; ; rest = rest.slice(columnsMax)) {
    parts.push(rest.slice(0, columnsMax))
    if (rest.length <= columnsMax) return parts
  }
}

function toneOf(line: string): string {
  if (line.startsWith('# ')) return 'typed'
  if (/\bfailed\b|\bexited\b|^atomixctl: /.test(line)) return 'bad'
  return /\bdone$|\bactive\b|rolled-back/.test(line) ? 'good' : ''
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
