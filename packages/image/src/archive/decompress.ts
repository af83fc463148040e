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
 * Decoded bytes of an ar member, by the ending of its name. The stream throws an Error that tells what is
 * wrong with the data.
 */
export async function* decompressMember(
  path: string,
  member: ArMember,
  xz: XzDecoder,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  if (member.name.endsWith('.xz') && xz.kind === 'program') {
    yield* runXz(path, member, xz.argv, signal)
    return
  }
  const file = await open(path)
  try {
    const raw = file.createReadStream({
      start: member.offsetBytes,
      end: member.offsetBytes + member.sizeBytes - 1,
      highWaterMark: 1 << 20,
      autoClose: false,
      signal,
    })
    const suffix = /\.[a-z]+$/.exec(member.name)?.[0]
    if (suffix === '.tar') yield* raw
    else if (suffix === '.gz') yield* compose(raw, createGunzip({ chunkSize: 1 << 18 }))
    else if (suffix === '.zst') yield* compose(raw, createZstdDecompress({ chunkSize: 1 << 18 }))
    else if (suffix === '.xz') {
      const web = Readable.toWeb(raw) as unknown as ReadableStream<Uint8Array>
      const decoded = new xzDecompress.XzReadableStream(web) as unknown as AsyncIterable<Uint8Array>
      for await (const chunk of decoded) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    } else throw new Error(`${member.name} is compressed in a way that is not known here`)
  } finally {
    await file.close()
  }
}

function compose(raw: Readable, transform: NodeJS.ReadWriteStream & Readable): Readable {
  raw.on('error', (error) => transform.destroy(error))
  return raw.pipe(transform)
}

async function* runXz(path: string, member: ArMember, argv: readonly string[], signal: AbortSignal) {
  const file = await open(path)
  let child: ReturnType<typeof spawn> | undefined
  try {
    await advance(file, member.offsetBytes)
    // xz reads the archive itself from where we left it and stops after the one stream: no copy through here.
    child = spawn(
      argv[0]!,
      [...argv.slice(1), '--decompress', '--stdout', '--single-stream', '--threads=2'],
      {
        stdio: [file.fd, 'pipe', 'pipe'],
        env: {},
        signal,
      },
    )
    let complaint = ''
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child!.on('error', reject)
      child!.on('close', (code, killedBy) => resolve(code ?? killedBy!))
    })
    exit.catch(() => {})
    yield* child.stdout! as AsyncIterable<Buffer>
    const code = await exit
    if (code !== 0)
      throw new Error(complaint.trim().replace(/^\S*xz: (\(stdin\): )?/, '') || `xz ended with ${code}`)
  } finally {
    child?.kill('SIGKILL')
    await file.close()
  }
}

/** Moves the descriptor's own position, which a child process shares; Node has no seek. */
async function advance(file: FileHandle, bytes: number): Promise<void> {
  const buffer = Buffer.alloc(1 << 16)
  let left = bytes
  while (left > 0) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(left, buffer.length), null)
    if (bytesRead === 0) throw new Error('the file is too short')
    left -= bytesRead
  }
}
