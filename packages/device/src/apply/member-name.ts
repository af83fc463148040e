import { pathLimits } from '@atomixos/config/operator/bundle.ts'
import { BundleRefused } from './bundle-limits.ts'

const { pathBytesMax, partBytesMax, depthMax } = pathLimits

/**
 * The name of a member as a path below the configuration's folder: `config.toml`, `files`, or something in `files`; `.` for
 * the top itself. Throws BundleRefused. Pure.
 */
export function memberName(raw: string, kind: 'file' | 'folder'): string {
  const refuse = (what: string, hint?: string): never => {
    throw new BundleRefused(`${shownName(raw)} ${what}`, hint)
  }
  if (raw === '') refuse('is no name')
  if (raw.startsWith('/')) refuse('is an absolute path', 'pack with relative paths: tar -C FOLDER ... .')
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(raw)) refuse('holds a character that does not show')
  if (raw.includes('\\')) refuse('holds a backslash', 'folders are divided by "/"')
  if (Buffer.byteLength(raw) > pathBytesMax) refuse(`is longer than ${pathBytesMax} bytes`)
  const name = raw.replace(/^(?:\.\/)+/, '').replace(kind === 'folder' ? /\/$/ : /$^/, '')
  if (name === '' || name === '.') return kind === 'folder' ? '.' : refuse('is no file')
  const parts = name.split('/')
  if (parts.includes('..')) refuse('leads out of the bundle')
  if (parts.some((part) => part === '' || part === '.')) refuse('is no proper path')
  if (parts.length > depthMax) refuse(`is more than ${depthMax} folders deep`)
  if (parts.some((part) => Buffer.byteLength(part) > partBytesMax)) {
    refuse(`has a part that is longer than ${partBytesMax} bytes`)
  }
  if (name === 'config.toml') {
    if (kind === 'folder') refuse('is a folder')
    return name
  }
  if (parts[0] === 'files') {
    if (parts.length === 1 && kind === 'file') refuse('is no folder')
    return name
  }
  if (parts.some((part) => part.startsWith('._'))) {
    refuse("is one of macOS' own files", 'pack with COPYFILE_DISABLE=1 tar ...')
  }
  return refuse(
    'is not expected',
    parts.at(-1) === 'config.toml'
      ? 'config.toml stands at the top: tar -C FOLDER -czf bundle.tar.gz config.toml files'
      : 'a bundle holds config.toml and files/, nothing else',
  )
}

/** Names go to terminals and logs. */
export function shownName(name: string): string {
  const text = JSON.stringify(name.length > 200 ? `${name.slice(0, 199)}…` : name)
  return text.replace(/[^\x20-\x7e…]/g, '?')
}
