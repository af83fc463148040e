import { UserError } from '@atomixos/image/errors.ts'

export interface TarMember {
  /** Relative, with `/`. */
  readonly path: string
  /** undefined: a folder. */
  readonly content: Uint8Array | undefined
}

const block = 512

/** Files and folders as POSIX.1-1988 has them (ustar): nobody's, of no time, so that the same files give the same bytes. */
export function writeTar(members: readonly TarMember[]): Buffer {
  const parts = members.flatMap(({ path, content }) => {
    const bytes = content ?? new Uint8Array()
    const padding = Buffer.alloc((block - (bytes.length % block)) % block)
    return [header(path, content), bytes, padding]
  })
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}

function header(path: string, content: Uint8Array | undefined): Buffer {
  const { prefix, name } = split(content === undefined ? `${path}/` : path)
  const bytes = Buffer.alloc(block)
  const octal = (value: number, at: number, length: number) =>
    bytes.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  bytes.write(name, 0)
  octal(content === undefined ? 0o755 : 0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(content?.length ?? 0, 124, 12)
  octal(0, 136, 12)
  bytes.fill(' ', 148, 156)
  bytes.write(content === undefined ? '5' : '0', 156)
  bytes.write('ustar\x0000', 257, 'latin1')
  bytes.write(prefix, 345)
  octal(
    bytes.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  )
  bytes[154] = 0
  return bytes
}

function split(path: string): { prefix: string; name: string } {
  const long = (text: string, max: number) => Buffer.byteLength(text) > max
  if (!long(path, 100)) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at > 0 && at < path.length - 1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (!long(prefix, 155) && !long(name, 100)) return { prefix, name }
  }
  throw new UserError(`${path}: the name is too long for a bundle`, {
    hint: 'give it a shorter one',
    exitCode: 2,
  })
}
