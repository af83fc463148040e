import { gzipSync, zstdCompressSync } from 'node:zlib'

/** For tests: archives, proper and otherwise, header by header. */
export interface Member {
  readonly name: string
  readonly content?: string | Uint8Array
  /** `0`: a regular file. */
  readonly type?: string
  readonly mode?: number
  readonly prefix?: string
  readonly link?: string
  /** What the header says, if it is not the length of the content. */
  readonly size?: number | string
  readonly magic?: string
  /** Spoils the header's checksum. */
  readonly damaged?: boolean
}

export function tarOf(members: readonly Member[], end: Uint8Array = Buffer.alloc(1024)): Buffer {
  return Buffer.concat([...members.map(memberOf), end])
}

export function memberOf(member: Member): Buffer {
  const content = Buffer.from(member.content ?? '')
  const header = Buffer.alloc(512)
  const { mode = 0o644, type = '0', size = content.length } = member
  header.write(member.name, 0, 100)
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100)
  header.write('0001750\0', 108)
  header.write('0001750\0', 116)
  header.write(typeof size === 'string' ? size : `${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  header.write('14000000000\0', 136)
  header.write('        ', 148)
  header.write(type, 156, 'latin1')
  header.write(member.link ?? '', 157)
  header.write(member.magic ?? 'ustar\u000000', 257)
  header.write(member.prefix ?? '', 345)
  const sum = header.reduce((total, byte) => total + byte, member.damaged ? 1 : 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)])
}

export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const bytes = Buffer.byteLength(rest)
  let length = bytes + 1
  while (String(length).length + bytes !== length) length = String(length).length + bytes
  return `${length}${rest}`
}

export function pax(records: Readonly<Record<string, string>>, type = 'x'): Member {
  const content = Object.entries(records)
    .map(([key, value]) => paxRecord(key, value))
    .join('')
  return { name: 'PaxHeaders/x', type, content }
}

export const gzip = (bytes: Uint8Array) => gzipSync(bytes, { level: 1 })
export const zstd = (bytes: Uint8Array) => zstdCompressSync(bytes)
