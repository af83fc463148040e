/** The name that was probably meant; undefined when none is near. */
export function nearest(found: string, names: Iterable<string>): string | undefined {
  if (found.length > 64) return undefined
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(found.length / 3)) + 1
  for (const name of names) {
    if (Math.abs(name.length - found.length) >= bestDistance) continue
    const distance = editDistance(plain(found), plain(name))
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** `dhcpStart` and `dhcp-start` are meant to be `dhcp_start`. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '')
}

/** Insertions, deletions, replacements, and neighbours that changed places (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let twoAgo: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        previous[column]! + 1,
        current[column - 1]! + 1,
        previous[column - 1]! + (same ? 0 : 1),
      )
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, twoAgo[column - 2]! + 1)
      current.push(cost)
    }
    twoAgo = previous
    previous = current
  }
  return previous[b.length]!
}
