import { BundleRefused } from './bundle-limits.ts'

/** What of an extended header counts here; times, ids and attributes do not. */
export interface PaxRecords {
  readonly path?: string
  readonly size?: number
}

/** `LENGTH KEY=VALUE\n`, each length with its own digits. Throws BundleRefused. Pure. */
export function parsePaxRecords(content: Uint8Array): PaxRecords {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
  const found = new Map<string, string>()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 || space - at > 6 ? '' : bytes.toString('latin1', at, space)
    const end = /^[1-9][0-9]*$/.test(digits) ? at + Number(digits) : 0
    const equals = bytes.indexOf(0x3d, space)
    if (end <= space + 1 || end > bytes.length || bytes[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw new BundleRefused('an extended header is damaged')
    }
    const key = bytes.toString('latin1', space + 1, equals)
    if (key.startsWith('GNU.sparse.')) {
      throw new BundleRefused('it holds a sparse file', 'pack it without --sparse')
    }
    if (key === 'linkpath') throw new BundleRefused('it holds a link', 'files and folders are taken')
    if (key === 'hdrcharset') throw new BundleRefused('names are not UTF-8')
    if (key === 'path' || key === 'size') {
      if (found.has(key)) throw new BundleRefused(`an extended header has two of "${key}"`)
      found.set(key, decode(bytes.subarray(equals + 1, end - 1)))
    }
    at = end
  }
  const path = found.get('path')
  const size = found.get('size')
  if (size !== undefined && !/^[0-9]{1,15}$/.test(size)) {
    throw new BundleRefused('an extended header has a size that is none')
  }
  return { ...(path !== undefined && { path }), ...(size !== undefined && { size: Number(size) }) }
}

function decode(value: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value)
  } catch {
    throw new BundleRefused('the name of a member is not UTF-8')
  }
}
