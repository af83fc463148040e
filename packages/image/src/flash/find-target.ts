import { execFile } from 'node:child_process'
import type { Stats } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { promisify } from 'node:util'
import { UserError } from '../errors.ts'
import type { Disk } from './disk.ts'
import { findLinuxDevice, listLinuxDisks, loopDeviceOf, readLinuxDisk } from './linux-disks.ts'
import { parseMacContainerDisk, parseMacDisk, parseMacDiskNames, parseMacParent } from './mac-disks.ts'

const listHint = '`./atomixos flash --list` shows the disks of this machine'

/** Disks of this machine that could be meant. Throws UserError on a system that we know no disks of. */
export async function listDisks(): Promise<Disk[]> {
  if (process.platform === 'linux') return listLinuxDisks()
  if (process.platform !== 'darwin') throw unknownSystem()
  const list = await diskutil('list', '-plist')
  const names = parseMacDiskNames(await diskutil('list', '-plist', 'physical'))
  return Promise.all(names.map(async (name) => parseMacDisk(await diskutil('info', '-plist', name), list)))
}

/** The disk, or file that stands for one, at a path. Throws UserError when there is none, or only a part of one. */
export async function findTarget(path: string): Promise<Disk> {
  const real = await realpath(path).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`${path} is not there: ${error.code}`, { hint: listHint, exitCode: 2, cause: error })
  })
  const found = await stat(real)
  if (found.isFile()) return fileTarget(path, real, found)
  if (process.platform === 'darwin') return findMacDisk(path, real)
  if (process.platform !== 'linux') throw unknownSystem()
  if (!found.isBlockDevice()) throw new UserError(`${path} is no disk`, { hint: listHint, exitCode: 2 })
  const [major, minor] = splitDeviceNumber(found.rdev)
  const device = await findLinuxDevice(major, minor)
  if (device?.partitionOf !== undefined) {
    throw new UserError(`${path} is a partition, and the image is a whole disk`, {
      hint: `if all of it may be lost, name the disk: /dev/${device.partitionOf}`,
      exitCode: 2,
    })
  }
  if (device === undefined || !/^(sd|mmcblk\d+$|nvme|vd|xvd|hd|loop)/.test(device.name)) {
    throw new UserError(`${path} is no disk that can be taken out of this machine`, {
      hint: listHint,
      exitCode: 2,
    })
  }
  return readLinuxDisk(device.name)
}

async function findMacDisk(path: string, real: string): Promise<Disk> {
  const name = /^\/dev\/r?(disk\d+(s\d+)*)$/.exec(real)?.[1]
  if (name === undefined) throw new UserError(`${path} is no disk`, { hint: listHint, exitCode: 2 })
  const info = await diskutil('info', '-plist', name)
  const parent = parseMacParent(info)
  if (parent !== undefined) {
    throw new UserError(`${path} is a partition, and the image is a whole disk`, {
      hint: `if all of it may be lost, name the disk: /dev/${parent}`,
      exitCode: 2,
    })
  }
  const list = await diskutil('list', '-plist')
  const below = parseMacContainerDisk(name, list)
  if (below !== undefined) {
    throw new UserError(`${path} is a container of APFS, and the image is a whole disk`, {
      hint: `if all of it may be lost, name the disk below it: /dev/${below}`,
      exitCode: 2,
    })
  }
  return parseMacDisk(info, list)
}

async function fileTarget(path: string, real: string, found: Stats): Promise<Disk> {
  const loop = process.platform === 'linux' ? await loopDeviceOf(real) : undefined
  return {
    path,
    sizeBytes: found.size,
    sectorBytes: 512,
    model: 'a file',
    serial: undefined,
    connection: 'file',
    removable: false,
    readOnly: false,
    system: false,
    uses: loop === undefined ? [] : [`${loop} shows it as a disk`],
    contents: [],
    identity: [found.dev, found.ino, found.size].join('|'),
  }
}

async function diskutil(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('/usr/sbin/diskutil', args, {
    timeout: 30_000,
    maxBuffer: 16 * 1024 * 1024,
  }).catch((error: Error) => {
    throw new UserError(`\`diskutil ${args.join(' ')}\` failed: ${error.message}`, { cause: error })
  })
  return stdout
}

function unknownSystem(): UserError {
  return new UserError(`flash knows no disks of ${process.platform}`, {
    hint: 'use Linux or macOS, or write the image with another program and compare SHA256SUMS before',
    exitCode: 2,
  })
}

/** As glibc's gnu_dev_major and gnu_dev_minor. */
function splitDeviceNumber(rdev: number): [major: number, minor: number] {
  const number = BigInt(rdev)
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & 0xfffff000n)
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffffff00n)
  return [Number(major), Number(minor)]
}
