/** At most `bytesMax` of it, cut where a line ends, with a line that says how much is not there. Pure. */
export function bound(bytes: Buffer, bytesMax: number, keep: 'start' | 'end'): string {
  if (bytes.length <= bytesMax) return bytes.toString('utf8')
  const note = `[${bytes.length - bytesMax} bytes or a little more are left out]\n`
  if (keep === 'start') {
    const cut = bytes.subarray(0, bytesMax)
    return `${cut.subarray(0, cut.lastIndexOf(0x0a) + 1).toString('utf8')}${note}`
  }
  const cut = bytes.subarray(bytes.length - bytesMax)
  return `${note}${cut.subarray(cut.indexOf(0x0a) + 1).toString('utf8')}`
}
