import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { uploadBytesMax } from '@atomixos/config/api/index.ts'
import { parseConfig } from '@atomixos/config/operator/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { showProblems } from '../config/show-problems.ts'
import { type TarMember, writeTar } from './write-tar.ts'

export interface Upload {
  readonly bytes: Buffer
  readonly mediaType: 'application/toml' | 'application/gzip' | 'application/octet-stream'
  /** Where config.toml itself was at hand: for showing lines. */
  readonly text: string | undefined
}

/** What a device is sent: a config.toml, a bundle, or a folder that becomes one. What is wrong with it is told here. */
export async function readUpload(path: string): Promise<Upload> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(
      cause.code === 'ENOENT' ? `${path} is not there` : `${path} cannot be read: ${cause.message}`,
      {
        exitCode: 2,
        cause,
      },
    )
  })
  const upload = found.isDirectory() ? await packFolder(path) : await readUploadFile(path)
  if (upload.bytes.length > uploadBytesMax) {
    throw new UserError(
      `${path} has ${(upload.bytes.length / 1024 / 1024).toFixed(1)} MiB, and a device takes 32`,
      {
        hint: 'leave out images that it can get from a registry',
        exitCode: 2,
      },
    )
  }
  return upload
}

async function readUploadFile(path: string): Promise<Upload> {
  const bytes = await readFile(path)
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  const isZstd = bytes.length >= 4 && bytes.readUInt32LE(0) === 0xfd2fb528
  if (isGzip || isZstd) {
    return { bytes, mediaType: isGzip ? 'application/gzip' : 'application/octet-stream', text: undefined }
  }
  const text = bytes.toString('utf8')
  requireValid(path, bytes, text)
  return { bytes, mediaType: 'application/toml', text }
}

/** A bundle of `config.toml` and `files/`. */
async function packFolder(dir: string): Promise<Upload> {
  const names = (await readdir(dir)).sort()
  if (!names.includes('config.toml')) {
    throw new UserError(`${dir} has no config.toml`, {
      hint: 'docs/config.md says what is in it',
      exitCode: 2,
    })
  }
  const others = names.filter((name) => name !== 'config.toml' && name !== 'files')
  if (others.length > 0) {
    throw new UserError(`${dir} has more than config.toml and files/: ${others.join(', ')}`, {
      hint: 'put what containers need below files/',
      exitCode: 2,
    })
  }
  const config = await readFile(join(dir, 'config.toml'))
  const text = config.toString('utf8')
  requireValid(join(dir, 'config.toml'), config, text)
  if (!names.includes('files')) return { bytes: config, mediaType: 'application/toml', text }
  const members: TarMember[] = [{ path: 'config.toml', content: config }, ...(await membersOf(dir, 'files'))]
  return { bytes: gzipSync(writeTar(members), { level: 9 }), mediaType: 'application/gzip', text }
}

async function membersOf(dir: string, path: string): Promise<TarMember[]> {
  const members: TarMember[] = [{ path, content: undefined }]
  const entries = await readdir(join(dir, path), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inner = `${path}/${entry.name}`
    if (entry.isDirectory()) members.push(...(await membersOf(dir, inner)))
    else if (entry.isFile()) members.push({ path: inner, content: await readFile(join(dir, inner)) })
    else {
      throw new UserError(`${join(dir, inner)} is neither a file nor a folder`, {
        hint: 'a bundle has no links and no devices',
        exitCode: 2,
      })
    }
  }
  return members
}

function requireValid(path: string, bytes: Uint8Array, text: string): void {
  const { problems, warnings } = parseConfig(bytes)
  process.stderr.write(showProblems(path, text, warnings, 'warning'))
  if (problems.length === 0) return
  process.stderr.write(showProblems(path, text, problems))
  throw new UserError(
    `${path}: ${problems.length} problem${problems.length === 1 ? '' : 's'}. Nothing was sent.`,
  )
}
