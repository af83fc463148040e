/** A tar stream's entry before anyone interprets it. Times and owner names are dropped: nothing uses them. */
export interface TarEntry {
  readonly path: string
  readonly type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo'
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** Where a file's bytes begin in the stream. */
  readonly offsetBytes: number
  /** Target of a link; empty otherwise. */
  readonly link: string
  readonly major: number
  readonly minor: number
  readonly xattrs: Readonly<Record<string, Uint8Array>> | undefined
}

export interface TarSink {
  entry(entry: TarEntry): void
  /** Bytes of the file announced last; valid only during the call. */
  data(bytes: Buffer): void
  fileEnd(): void
}

const blockBytes = 512
const types: Readonly<Record<string, TarEntry['type']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
}

/** Reads ustar, GNU (long names, base-256 numbers) and pax archives pushed in pieces of any size. */
export class TarReader {
  readonly #sink: TarSink
  readonly #header = Buffer.alloc(blockBytes)
  #headerFill = 0
  #position = 0
  #remaining = 0
  #padding = 0
  #into: 'sink' | 'meta' | 'nothing' = 'nothing'
  #meta: Buffer[] = []
  #metaType = ''
  #longName: string | undefined
  #longLink: string | undefined
  #pax = new Map<string, Buffer>()
  #ended = false

  constructor(sink: TarSink) {
    this.#sink = sink
  }

  /** Throws an Error that tells what is wrong with the archive. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#ended) {
      const before = at
      if (this.#remaining > 0) {
        const take = Math.min(this.#remaining, chunk.length - at)
        const bytes = chunk.subarray(at, at + take)
        if (this.#into === 'sink') this.#sink.data(bytes)
        else if (this.#into === 'meta') this.#meta.push(Buffer.from(bytes))
        at += take
        this.#remaining -= take
        if (this.#remaining === 0) this.#finishBody()
      } else if (this.#padding > 0) {
        const take = Math.min(this.#padding, chunk.length - at)
        at += take
        this.#padding -= take
      } else {
        const take = Math.min(blockBytes - this.#headerFill, chunk.length - at)
        chunk.copy(this.#header, this.#headerFill, at, at + take)
        at += take
        this.#headerFill += take
      }
      this.#position += at - before
      if (this.#headerFill === blockBytes) {
        this.#headerFill = 0
        this.#readHeader()
      }
    }
  }

  /** To be called after the last piece: a stream that stops early is an error. */
  end(): void {
    if (!this.#ended) throw new Error('the tar stream ends too early')
  }

  #readHeader(): void {
    const header = this.#header
    if (header.every((byte) => byte === 0)) {
      this.#ended = true
      return
    }
    let sum = 0
    for (let i = 0; i < blockBytes; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i]!
    if (sum !== number(header, 148, 8)) throw new Error('a tar header has a wrong checksum')
    const flag = String.fromCharCode(header[156]!)
    let sizeBytes = number(header, 124, 12)
    if (flag === 'L' || flag === 'K' || flag === 'x' || flag === 'g') {
      this.#metaType = flag
      this.#meta = []
      this.#body(sizeBytes, 'meta')
      return
    }
    const type = types[flag]
    if (type === undefined) throw new Error(`a tar entry has the unknown type ${JSON.stringify(flag)}`)
    const pax = (key: string) => this.#pax.get(key)?.toString('utf8')
    const paxNumber = (key: string, otherwise: number) => (this.#pax.has(key) ? Number(pax(key)) : otherwise)
    const gnu = header.toString('latin1', 257, 265) === 'ustar  \0'
    const prefix = gnu ? '' : text(header, 345, 155)
    const name = text(header, 0, 100)
    sizeBytes = paxNumber('size', sizeBytes)
    const xattrs = [...this.#pax].filter(([key]) => key.startsWith('SCHILY.xattr.'))
    this.#sink.entry({
      path: pax('path') ?? this.#longName ?? (prefix === '' ? name : `${prefix}/${name}`),
      type,
      mode: number(header, 100, 8) & 0o7777,
      uid: paxNumber('uid', number(header, 108, 8)),
      gid: paxNumber('gid', number(header, 116, 8)),
      sizeBytes: type === 'file' ? sizeBytes : 0,
      offsetBytes: this.#position,
      link: pax('linkpath') ?? this.#longLink ?? text(header, 157, 100),
      major: number(header, 329, 8),
      minor: number(header, 337, 8),
      xattrs:
        xattrs.length === 0
          ? undefined
          : Object.fromEntries(xattrs.map(([key, value]) => [key.slice('SCHILY.xattr.'.length), value])),
    })
    this.#longName = undefined
    this.#longLink = undefined
    this.#pax = new Map()
    this.#body(type === 'file' ? sizeBytes : 0, type === 'file' ? 'sink' : 'nothing')
  }

  #body(sizeBytes: number, into: 'sink' | 'meta' | 'nothing'): void {
    this.#into = into
    this.#remaining = sizeBytes
    this.#padding = (blockBytes - (sizeBytes % blockBytes)) % blockBytes
    if (sizeBytes === 0) this.#finishBody()
  }

  #finishBody(): void {
    if (this.#into === 'sink') this.#sink.fileEnd()
    if (this.#into !== 'meta') return
    const body = Buffer.concat(this.#meta)
    if (this.#metaType === 'L') this.#longName = text(body, 0, body.length)
    else if (this.#metaType === 'K') this.#longLink = text(body, 0, body.length)
    else if (this.#metaType === 'x') this.#pax = readPax(body)
  }
}

function text(from: Buffer, start: number, length: number): string {
  const end = from.indexOf(0, start)
  return from.toString('utf8', start, end < 0 || end > start + length ? start + length : end)
}

function number(from: Buffer, start: number, length: number): number {
  if ((from[start]! & 0x80) !== 0) {
    // GNU base-256 for what does not fit into octal digits.
    let value = from[start]! & 0x7f
    for (let i = start + 1; i < start + length; i++) value = value * 256 + from[i]!
    return value
  }
  const digits = text(from, start, length).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw new Error('a tar header has a field that is no number')
  return Number.parseInt(digits, 8)
}

/** Records of the form `LENGTH KEY=VALUE\n`, where a value may hold any byte. */
function readPax(body: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  let at = 0
  while (at < body.length) {
    const space = body.indexOf(0x20, at)
    const length = Number(body.toString('latin1', at, space))
    const equals = body.indexOf(0x3d, space)
    if (!Number.isInteger(length) || length <= 0 || space < 0 || equals < 0) {
      throw new Error('a pax header is damaged')
    }
    records.set(body.toString('utf8', space + 1, equals), body.subarray(equals + 1, at + length - 1))
    at += length
  }
  return records
}
