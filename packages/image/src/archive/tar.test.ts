import { describe, expect, test } from 'vitest'
import { type TarEntry, TarReader } from './tar.ts'

/** One 512-byte header as ustar writes it. */
function header(name: string, fields: { size?: number; type?: string; link?: string } = {}): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write('0000644\0', 100)
  block.write('0000000\0', 108)
  block.write('0000000\0', 116)
  block.write(`${(fields.size ?? 0).toString(8).padStart(11, '0')}\0`, 124)
  block.write('        ', 148)
  block.write(fields.type ?? '0', 156)
  block.write(fields.link ?? '', 157)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function body(text: string): Buffer {
  const padded = Buffer.alloc(Math.ceil(Buffer.byteLength(text) / 512) * 512)
  padded.write(text)
  return padded
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (Buffer.byteLength(`${length}${rest}`) !== length) length += 1
  return `${length}${rest}`
}

function read(archive: Buffer, pieceBytes = archive.length) {
  const entries: (TarEntry & { text: string })[] = []
  let text = ''
  let current: TarEntry | undefined
  const reader = new TarReader({
    entry(entry) {
      current = entry
      text = ''
      if (entry.type !== 'file') entries.push({ ...entry, text })
    },
    data: (bytes) => {
      text += bytes.toString()
    },
    fileEnd: () => void entries.push({ ...current!, text }),
  })
  for (let at = 0; at < archive.length; at += pieceBytes) reader.push(archive.subarray(at, at + pieceBytes))
  reader.end()
  return entries
}

const end = Buffer.alloc(1024)
const pax =
  record('path', 'ä/renamed') + record('SCHILY.xattr.security.capability', 'x\0y') + record('uid', '70000')
const archive = Buffer.concat([
  header('first', { size: 5 }),
  body('hello'),
  header('ignored', { type: 'x', size: Buffer.byteLength(pax) }),
  body(pax),
  header('short-name', { size: 600 }),
  body('b'.repeat(600)),
  header('after'),
  end,
])

describe('a tar stream', () => {
  test.each([1, 7, 511, 512, 513, 4096])('reads the same in pieces of %i bytes', (pieceBytes) => {
    expect(read(archive, pieceBytes)).toEqual(read(archive))
  })

  test('gives pax records precedence, for one entry only', () => {
    const [first, second, third] = read(archive)
    expect(first).toMatchObject({ path: 'first', text: 'hello', uid: 0, offsetBytes: 512 })
    expect(second).toMatchObject({ path: 'ä/renamed', uid: 70000, text: 'b'.repeat(600) })
    expect(Buffer.from(second!.xattrs!['security.capability']!).toString()).toBe('x\0y')
    expect(third).toMatchObject({ path: 'after', uid: 0, xattrs: undefined })
  })

  test('tells where in the stream each file lies', () => {
    for (const { offsetBytes, sizeBytes, text } of read(archive)) {
      expect(archive.toString('utf8', offsetBytes, offsetBytes + sizeBytes)).toBe(text)
    }
  })

  test.each([
    ['stops before its end', archive.subarray(0, archive.length - 1024), 'the tar stream ends too early'],
    ['stops within a file', archive.subarray(0, 700), 'the tar stream ends too early'],
    [
      'has a damaged header',
      Buffer.concat([Buffer.from(header('x')).fill('y', 0, 1), end]),
      'a tar header has a wrong checksum',
    ],
    [
      'has an entry nobody knows',
      Buffer.concat([header('x', { type: 'Z' }), end]),
      'a tar entry has the unknown type "Z"',
    ],
  ])('that %s is refused', (_, bytes, message) => {
    expect(() => read(bytes)).toThrow(message)
  })
})
