import { type BundleLimits, BundleRefused, sizeText } from './bundle-limits.ts'
import { memberName, shownName } from './member-name.ts'
import { parsePaxRecords } from './pax-records.ts'

/** Is told of the members one after the other; names are safe, relative and without `.` and `..`. */
export interface TarSink {
  /** `.` for the archive's own top. */
  folder(name: string): void
  file(name: string, file: TarFile): void
  /** Of the last file. */
  data(chunk: Uint8Array): void
  /** The last file is whole. */
  fileEnd(): void
}

export interface TarFile {
  readonly sizeBytes: number
  readonly executable: boolean
  /** Nobody but the owner may read it. */
  readonly secret: boolean
}

const blockBytes = 512
/** A name of 1,024 characters and the times of a file are far from it. */
const extraBytesMax = 64 << 10

const refusedKinds: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a device',
  '4': 'a device',
  '6': 'a fifo',
  '7': 'a contiguous file',
  D: 'a list of an incremental dump',
  K: 'a link with a long target',
  M: 'a part of a file',
  S: 'a sparse file',
  V: 'a label of a volume',
}

type Extra = 'x' | 'g' | 'L'

type State =
  | { readonly at: 'header' }
  | {
      readonly at: 'extra'
      readonly kind: Extra
      readonly parts: Uint8Array[]
      left: number
      padding: number
    }
  | { readonly at: 'file'; left: number; padding: number }
  | { readonly at: 'padding'; padding: number }
  | { readonly at: 'end' }

/**
 * Reads a tar archive that may have been made to do harm: ustar, with pax records for path and size, and GNU's long names.
 * What is not plainly a regular file or a folder is refused, and so is everything that readers of tar disagree about. Holds
 * one block, and one extended header. An own reader of 200 lines, since libraries unpack leniently, need streams of their own
 * (30 to 60 KB in the device's one file), and would have to be told to refuse each of these.
 */
export class TarReader {
  private state: State = { at: 'header' }
  private readonly block = new Uint8Array(blockBytes)
  private blockFilled = 0
  private zeroBlocks = 0
  private members = 0
  private totalBytes = 0
  private longName: string | undefined
  private pax: { readonly path?: string; readonly size?: number } | undefined
  private readonly sink: TarSink
  private readonly limits: BundleLimits

  constructor(sink: TarSink, limits: BundleLimits) {
    this.sink = sink
    this.limits = limits
  }

  /** Throws BundleRefused, after which nothing more may be pushed. */
  push(chunk: Uint8Array): void {
    this.totalBytes += chunk.length
    if (this.totalBytes > this.limits.unpackedBytesMax) {
      throw new BundleRefused(`it unpacks to more than ${sizeText(this.limits.unpackedBytesMax)}`)
    }
    for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(this.take(rest))
  }

  finish(): void {
    if (this.state.at !== 'end') {
      throw new BundleRefused('the archive is cut off', 'it was not copied whole: pack and send it again')
    }
  }

  /** Gives the number of bytes that it took. */
  private take(bytes: Uint8Array): number {
    const { state } = this
    switch (state.at) {
      case 'header':
        return this.takeHeader(bytes)
      case 'extra': {
        const taken = bytes.subarray(0, state.left)
        // A copy: the chunk is not ours to keep.
        state.parts.push(taken.slice())
        state.left -= taken.length
        if (state.left === 0) this.endExtra(state.kind, Buffer.concat(state.parts), state.padding)
        return taken.length
      }
      case 'file': {
        const taken = bytes.subarray(0, state.left)
        this.sink.data(taken)
        state.left -= taken.length
        if (state.left === 0) this.endFile(state.padding)
        return taken.length
      }
      case 'padding': {
        const taken = Math.min(bytes.length, state.padding)
        state.padding -= taken
        if (state.padding === 0) this.state = { at: 'header' }
        return taken
      }
      case 'end':
        if (bytes.some((byte) => byte !== 0)) {
          throw new BundleRefused('something stands behind the end of the archive')
        }
        return bytes.length
    }
  }

  private takeHeader(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, blockBytes - this.blockFilled)
    this.block.set(taken, this.blockFilled)
    this.blockFilled += taken.length
    if (this.blockFilled < blockBytes) return taken.length
    this.blockFilled = 0
    if (this.block.every((byte) => byte === 0)) {
      this.zeroBlocks += 1
      if (this.zeroBlocks === 2) this.endArchive()
    } else if (this.zeroBlocks > 0) {
      throw new BundleRefused('something stands behind the end of the archive')
    } else this.readHeader()
    return taken.length
  }

  private endArchive(): void {
    if (this.pax !== undefined || this.longName !== undefined) {
      throw new BundleRefused('the archive ends within a member')
    }
    this.state = { at: 'end' }
  }

  private readHeader(): void {
    const { block } = this
    const magic = latin1(block, 257, 8)
    const posix = magic === 'ustar\u000000'
    if ((!posix && magic !== 'ustar  \0') || !checksumHolds(block)) {
      throw new BundleRefused(
        this.members === 0 ? 'what is compressed is no tar archive' : 'the archive is damaged',
        this.members === 0 ? 'pack it with "tar"' : 'pack and send it again',
      )
    }
    const type = String.fromCharCode(block[156]!)
    const sizeBytes = octal(block, 124, 12)
    if (type === 'x' || type === 'g' || type === 'L') this.startExtra(type, sizeBytes)
    else this.startMember(type, sizeBytes, posix)
  }

  private startExtra(kind: Extra, sizeBytes: number): void {
    const twice = kind === 'L' ? this.longName !== undefined : kind === 'x' && this.pax !== undefined
    if (twice || (kind === 'g' && (this.pax !== undefined || this.longName !== undefined))) {
      throw new BundleRefused('a member has more than one header of a kind')
    }
    if (sizeBytes === 0 || sizeBytes > extraBytesMax) {
      throw new BundleRefused(`an extended header has ${sizeBytes} bytes`, `1 to ${extraBytesMax} are taken`)
    }
    // One of these for every member is common; they stand for nothing without end.
    if (kind === 'g') this.countMember()
    this.state = { at: 'extra', kind, parts: [], left: sizeBytes, padding: paddingOf(sizeBytes) }
  }

  private endExtra(kind: Extra, content: Buffer, padding: number): void {
    if (kind === 'L') {
      const end = content.indexOf(0)
      this.longName = utf8(end < 0 ? content : content.subarray(0, end))
    } else {
      const records = parsePaxRecords(content)
      if (kind === 'x') this.pax = records
      else if (records.path !== undefined || records.size !== undefined) {
        throw new BundleRefused('a global header names a path or a size')
      }
    }
    this.skip(padding)
  }

  private startMember(type: string, headerBytes: number, posix: boolean): void {
    this.countMember()
    const { pax, longName } = this
    if (pax?.path !== undefined && longName !== undefined) {
      throw new BundleRefused('a member has two long names')
    }
    const raw = pax?.path ?? longName ?? headerName(this.block, posix)
    this.pax = undefined
    this.longName = undefined
    if (type === '5') {
      if (headerBytes !== 0 || pax?.size) throw new BundleRefused(`${shownName(raw)}: a folder with content`)
      this.sink.folder(memberName(raw, 'folder'))
      return
    }
    if (type !== '0' && type !== '\0') {
      throw new BundleRefused(
        `${shownName(raw)} is ${refusedKinds[type] ?? 'of a kind that is not known'}`,
        'regular files and folders are taken, nothing else',
      )
    }
    const sizeBytes = pax?.size ?? headerBytes
    // The header cannot say more than 8 GiB: then it says something else than the record, and readers differ.
    if (pax?.size !== undefined && headerBytes !== pax.size && headerBytes !== 0) {
      throw new BundleRefused(`${shownName(raw)} has two sizes`)
    }
    if (sizeBytes > this.limits.memberBytesMax) {
      throw new BundleRefused(`${shownName(raw)} is larger than ${sizeText(this.limits.memberBytesMax)}`)
    }
    const mode = octal(this.block, 100, 8)
    this.sink.file(memberName(raw, 'file'), {
      sizeBytes,
      executable: (mode & 0o100) !== 0,
      secret: (mode & 0o044) === 0,
    })
    if (sizeBytes > 0) this.state = { at: 'file', left: sizeBytes, padding: paddingOf(sizeBytes) }
    else this.endFile(0)
  }

  private countMember(): void {
    this.members += 1
    if (this.members > this.limits.membersMax) {
      throw new BundleRefused(`it has more than ${this.limits.membersMax} members`)
    }
  }

  private endFile(padding: number): void {
    this.sink.fileEnd()
    this.skip(padding)
  }

  private skip(padding: number): void {
    this.state = padding === 0 ? { at: 'header' } : { at: 'padding', padding }
  }
}

function paddingOf(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}

function headerName(block: Uint8Array, posix: boolean): string {
  const name = cString(block, 0, 100)
  // GNU's own format has times in the place of the prefix.
  const prefix = posix ? cString(block, 345, 155) : Buffer.alloc(0)
  return utf8(prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]))
}

function cString(block: Uint8Array, offset: number, lengthMax: number): Buffer {
  const field = Buffer.from(block.buffer, block.byteOffset + offset, lengthMax)
  const end = field.indexOf(0)
  return Buffer.from(end < 0 ? field : field.subarray(0, end))
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new BundleRefused('the name of a member is not UTF-8')
  }
}

function latin1(block: Uint8Array, offset: number, length: number): string {
  return Buffer.from(block.buffer, block.byteOffset + offset, length).toString('latin1')
}

/** Digits, then a space or NUL. GNU's binary numbers are for sizes that are refused anyway. */
function octal(block: Uint8Array, offset: number, length: number): number {
  const match = /^ *([0-7]+)[ \0]*$/.exec(latin1(block, offset, length))
  if (match === null) throw new BundleRefused('a header has a number that is none')
  return Number.parseInt(match[1]!, 8)
}

function checksumHolds(block: Uint8Array): boolean {
  let sum = 0
  for (let index = 0; index < blockBytes; index += 1) {
    sum += index >= 148 && index < 156 ? 0x20 : block[index]!
  }
  return /^ *[0-7]+[ \0]*$/.test(latin1(block, 148, 8)) && octal(block, 148, 8) === sum
}
