import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export interface FolderEntry {
  readonly name: string
  readonly isFolder: boolean
}

/**
 * The one door to the file system for what replaces a configuration: one call of the kernel's each, more or less, so that a
 * test can cut the power at any of them. Throws what the file system says.
 */
export interface Disk {
  exists(path: string): boolean
  list(folder: string): FolderEntry[]
  makeFolder(path: string, mode: number, owner: Owner): void
  /** A new one; gives its descriptor. */
  createFile(path: string, mode: number, owner: Owner): number
  write(file: number, bytes: Uint8Array): void
  close(file: number): void
  /** The same folder, without what is in it. */
  copyFolder(from: string, to: string): void
  /** The same file under a second name. */
  link(from: string, to: string): void
  rename(from: string, to: string): void
  removeFile(path: string): void
  removeFolder(path: string): void
  /** What was renamed and made in it stays so. */
  syncFolder(path: string): void
  /** All of the file system that it is on. */
  syncAll(path: string): void
}

export const realDisk: Disk = {
  exists: existsSync,
  list: (folder) =>
    readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFolder: entry.isDirectory(),
    })),
  makeFolder(path, mode, owner) {
    mkdirSync(path, { mode: 0o700 })
    setAccess(path, mode, owner)
  },
  createFile(path, mode, { uid, gid }) {
    const file = openSync(path, 'wx', 0o600)
    fchownSync(file, uid, gid)
    fchmodSync(file, mode)
    return file
  },
  write(file, bytes) {
    for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(file, rest))
  },
  close: closeSync,
  copyFolder(from, to) {
    const { mode, uid, gid } = lstatSync(from)
    mkdirSync(to, { mode: 0o700 })
    setAccess(to, mode & 0o7777, { uid, gid })
  },
  link: linkSync,
  rename: renameSync,
  removeFile: unlinkSync,
  removeFolder: rmdirSync,
  syncFolder(path) {
    const folder = openSync(path, 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  },
  // One checkpoint of f2fs for thousands of files; fsync would make one for each. It tells of writes that failed.
  syncAll(path) {
    execFileSync('/usr/bin/sync', ['--file-system', path], { stdio: ['ignore', 'ignore', 'pipe'] })
  },
}

function setAccess(path: string, mode: number, { uid, gid }: Owner): void {
  lchownSync(path, uid, gid)
  const folder = openSync(path, 'r')
  try {
    fchmodSync(folder, mode)
  } finally {
    closeSync(folder)
  }
}

/** A folder with all that is in it; nothing when it is not there. Follows no links. */
export function removeTree(disk: Disk, path: string): void {
  if (!disk.exists(path)) return
  for (const { name, isFolder } of disk.list(path)) {
    const entry = join(path, name)
    if (isFolder) removeTree(disk, entry)
    else disk.removeFile(entry)
  }
  disk.removeFolder(path)
}

/** The same files under a second path: nothing is written twice, and modes and owners stay. */
export function linkTree(disk: Disk, from: string, to: string): void {
  disk.copyFolder(from, to)
  for (const { name, isFolder } of disk.list(from)) {
    if (isFolder) linkTree(disk, join(from, name), join(to, name))
    else disk.link(join(from, name), join(to, name))
  }
}
