import { spawn } from 'node:child_process'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import xzDecompress from 'xz-decompress'
import type { ArMember } from './ar.ts'

/**
 * How xz data is decoded. `program` is the xz of a tools tree, 2 to 3 times as fast as `wasm`; `wasm` needs
 * nothing and so reads the packages from which that first tree is made.
 */
export type XzDecoder =
  | { readonly kind: 'program'; readonly argv: readonly string[] }
  | { readonly kind: 'wasm' }

/**
 * Writes the decoded bytes of an ar member to `target`, an open empty file; what the member is compressed with is
 * told by the ending of its name. Throws an Error that tells what is wrong with the data.
 */
export async function decompressMember(
  path: string,
  member: ArMember,
  target: FileHandle,
  xz: XzDecoder,
  signal: AbortSignal,
): Promise<void> {
  if (member.name.endsWith('.xz') && xz.kind === 'program') {
    await runXz(path, member, target, xz.argv, signal)
  } else {
    for await (const chunk of decompressedStream(path, member, signal)) await writeAll(target, chunk)
  }
}

/** The decoded bytes in pieces, without any program: for what is small, or comes before there are programs. */
export async function* decompressedStream(
  path: string,
  member: ArMember,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    const raw = file.createReadStream({
      start: member.offsetBytes,
      end: member.offsetBytes + member.sizeBytes - 1,
      autoClose: false,
      signal,
    })
    const suffix = /\.[a-z]+$/.exec(member.name)?.[0]
    if (suffix === '.tar') yield* raw
    else if (suffix === '.gz') yield* through(raw, createGunzip())
    else if (suffix === '.zst') yield* through(raw, createZstdDecompress())
    else if (suffix === '.xz') {
      const web = Readable.toWeb(raw) as unknown as ReadableStream<Uint8Array>
      const decoded = new xzDecompress.XzReadableStream(web) as unknown as AsyncIterable<Uint8Array>
      for await (const chunk of decoded) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    } else throw new Error(`${member.name} is compressed in a way that is not known here`)
  } finally {
    await file.close()
  }
}

function through(raw: Readable, transform: NodeJS.ReadWriteStream & Readable): Readable {
  raw.on('error', (error) => transform.destroy(error))
  return raw.pipe(transform)
}

/** xz reads the archive from the member's first byte on and stops after its one stream: no copy through here. */
async function runXz(
  path: string,
  member: ArMember,
  target: FileHandle,
  argv: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const source = await open(path)
  try {
    await advance(source, member.offsetBytes)
    const options = ['--decompress', '--stdout', '--single-stream', '--threads=2']
    const child = spawn(argv[0]!, [...argv.slice(1), ...options], {
      stdio: [source.fd, target.fd, 'pipe'],
      env: {},
      signal,
      killSignal: 'SIGKILL',
    })
    let complaint = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    const exit = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, killedBy) => resolve(code ?? killedBy!))
    })
    if (exit === 0) return
    const reason = complaint.trim().replace(/^.*?xz: (?:\(stdin\): )?/, '') || `xz ended with ${exit}`
    // The one failure of xz that is not the archive's fault.
    if (/No space left on device|Disk quota exceeded/.test(reason)) {
      throw Object.assign(new Error(reason), { code: reason.includes('quota') ? 'EDQUOT' : 'ENOSPC' })
    }
    throw new Error(reason)
  } finally {
    await source.close()
  }
}

/** Moves the descriptor's own position, which a child process shares; Node has no seek. */
async function advance(file: FileHandle, bytes: number): Promise<void> {
  const buffer = Buffer.alloc(1 << 16)
  for (let left = bytes; left > 0; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(left, buffer.length), null)
    if (bytesRead === 0) throw new Error('the file is too short')
    left -= bytesRead
  }
}

async function writeAll(target: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await target.write(bytes, at)).bytesWritten
}
