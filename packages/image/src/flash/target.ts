import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { UserError } from '../errors.ts'

/** A device or file that is being overwritten. */
export interface Target extends AsyncDisposable {
  readonly path: string
  readonly sizeBytes: number
  readonly file: FileHandle
  /** Not a file that stands for one. */
  readonly isDevice: boolean
  /** Reads and writes go past the page cache: what is read back comes from the device. */
  readonly uncached: boolean
}

/** Absent on macOS, whose raw devices have no cache. */
const direct = constants.O_DIRECT ?? 0

/** Of which the types know nothing without those of a browser. */
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }
  }
).WebAssembly
const wasmPageBytes = 65536

/**
 * Memory that a device can be written from without the page cache: it must begin at a multiple of the device's
 * sectors. Node's buffers begin anywhere; memory for WebAssembly always begins on a page.
 */
export function alignedBuffer(sizeBytes: number): Buffer {
  return Buffer.from(new Memory({ initial: Math.ceil(sizeBytes / wasmPageBytes) }).buffer, 0, sizeBytes)
}

/**
 * Opens a target for writing. A block device is opened exclusively, which Linux grants only while nothing on the disk is
 * mounted, used as swap or part of another device, and which keeps it so until it is closed. Throws UserError.
 */
export async function openTarget(path: string, sizeBytes: number): Promise<Target> {
  const found = await stat(path)
  const flags = constants.O_RDWR | (found.isBlockDevice() ? constants.O_EXCL : 0)
  const opened = await openFile(path, flags)
  return {
    path,
    sizeBytes,
    isDevice: !found.isFile(),
    ...opened,
    // The one who wrote closes by hand, to hear of errors; what is left here is the way of a failure.
    [Symbol.asyncDispose]: () => opened.file.close().catch(() => {}),
  }
}

async function openFile(path: string, flags: number): Promise<Pick<Target, 'file' | 'uncached'>> {
  if (isRawDevice(path)) return { file: await openOrExplain(path, flags), uncached: true }
  try {
    const file = await open(path, flags | direct)
    if (direct !== 0 && (await takesDirect(file))) return { file, uncached: true }
    await file.close()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw explainOpening(path, error as Error)
  }
  return { file: await openOrExplain(path, flags), uncached: false }
}

/** macOS: `/dev/rdisk4` is the disk without the cache of `/dev/disk4`. */
function isRawDevice(path: string): boolean {
  return /^\/dev\/rdisk\d+$/.test(path)
}

/** Some file systems take the flag and then refuse the access. */
async function takesDirect(file: FileHandle): Promise<boolean> {
  try {
    await file.read(alignedBuffer(4096), 0, 4096, 0)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false
    throw error
  }
}

async function openOrExplain(path: string, flags: number): Promise<FileHandle> {
  return open(path, flags).catch((error: NodeJS.ErrnoException) => {
    throw explainOpening(path, error)
  })
}

/** Of macOS: it mounts whatever it can read, and keeps even root from disks until the person has said yes. */
const rawDeviceHints: Readonly<Record<string, (path: string) => string>> = {
  EBUSY: (path) => `run \`diskutil unmountDisk ${path.replace('rdisk', 'disk')}\``,
  EPERM: () =>
    'run the same command with sudo in front; if that is refused as well, let the terminal have Full Disk Access in System Settings, Privacy & Security',
}

export function explainOpening(path: string, error: NodeJS.ErrnoException): UserError {
  const reasons: Readonly<Record<string, readonly [message: string, hint: string]>> = {
    EBUSY: [
      'something on this machine uses it',
      `unmount what is on it: \`lsblk ${path}\` shows where it is used`,
    ],
    EACCES: ['this user may not', 'run the same command with sudo in front'],
    EPERM: ['this user may not', 'run the same command with sudo in front'],
    EROFS: ['it is write-protected', 'move the lock switch of the card or its adapter'],
    ENOMEDIUM: ['there is no card in it', 'put the card in, and look at `./atomixos flash --list`'],
    ENXIO: ['it is gone', 'plug it in again, and look at `./atomixos flash --list`'],
    ENODEV: ['it is gone', 'plug it in again, and look at `./atomixos flash --list`'],
  }
  const [reason, usual] = reasons[error.code ?? ''] ?? [error.message, 'try another reader or port']
  const hint = (isRawDevice(path) ? rawDeviceHints[error.code ?? '']?.(path) : undefined) ?? usual
  return new UserError(`${path} cannot be written: ${reason}. It was not changed.`, { hint, cause: error })
}

/** In words, what a device's error means while it is written or read back. */
export function describeDeviceError(error: NodeJS.ErrnoException, { isDevice }: Target): string {
  const words: Readonly<Record<string, string>> = {
    EIO: 'the device reports an error (it was pulled out, or the card, reader or cable are bad)',
    ENODEV: 'the device is gone (it was pulled out)',
    ENXIO: 'the device is gone (it was pulled out)',
    ENOMEDIUM: 'the card is gone (it was pulled out)',
    // A device whose medium has gone has a size of nothing.
    ENOSPC: isDevice
      ? 'the device ends here (it was pulled out, or is smaller than it says)'
      : 'the disk that holds it is full',
    EROFS: 'the device is write-protected',
    EPERM: 'the device is write-protected',
    EFBIG: 'it may not become that large',
  }
  return words[error.code ?? ''] ?? error.message
}
