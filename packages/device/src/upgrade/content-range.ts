/** `bytes 100-299/300`; undefined for anything else, an unknown total (`*`) included. */
export function parseContentRange(
  header: string | undefined,
): { readonly startBytes: number; readonly endBytes: number; readonly totalBytes: number } | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(header?.trim() ?? '')
  if (match === null) return undefined
  const [startBytes, lastBytes, totalBytes] = match.slice(1).map(Number) as [number, number, number]
  if (lastBytes < startBytes || lastBytes >= totalBytes) return undefined
  return { startBytes, endBytes: lastBytes + 1, totalBytes }
}
