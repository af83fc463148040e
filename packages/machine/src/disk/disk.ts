import { chmod, open, rename, rm, stat, truncate } from 'node:fs/promises'
import { MachineError } from '../errors.ts'
import { environmentOf, runChecked } from '../run.ts'
import type { Disk, DiskSource, Partition, Programs } from '../types.ts'
import { readPartitions } from './gpt.ts'

/** Whether the machine that owns a disk is off: only then its file is what the guest sees. */
export type OffGuard = () => string | undefined

/**
 * A copy that keeps holes and makes holes of zeros, shares blocks where the file system can, and grows the file.
 * What a copy costs is the data in it, not its size.
 */
export async function copySparse(
  programs: Programs,
  from: string,
  to: string,
  sizeBytes?: number,
): Promise<void> {
  const part = `${to}.part`
  await rm(part, { force: true })
  await runChecked([...programs.argv('cp'), '--reflink=auto', '--sparse=always', '--', from, part], {
    purpose: `copy ${from}`,
    timeoutMs: 300_000,
    env: environmentOf(programs),
  })
  // The image may be write-protected; the copy is there to be written.
  await chmod(part, 0o644)
  const { size } = await stat(part)
  if (sizeBytes !== undefined && sizeBytes < size) {
    await rm(part)
    throw new MachineError(`a disk of ${sizeBytes} bytes cannot hold ${from}, which has ${size}`)
  }
  if (sizeBytes !== undefined) await truncate(part, sizeBytes)
  await rename(part, to)
}

/** How large the disk becomes that is made of it. */
export async function diskBytes(source: DiskSource): Promise<number> {
  if ('file' in source) return (await stat(source.file)).size
  if ('image' in source) return source.sizeBytes ?? (await stat(source.image)).size
  return source.sizeBytes
}

export async function createDisk(
  programs: Programs,
  source: DiskSource,
  path: string,
  off: OffGuard,
): Promise<MachineDisk> {
  if ('file' in source) {
    return new MachineDisk(
      programs,
      { path: source.file, format: 'raw' },
      (await stat(source.file)).size,
      off,
    )
  }
  if ('image' in source) {
    await copySparse(programs, source.image, path, source.sizeBytes)
  } else {
    await (await open(path, 'w', 0o644)).close()
    await truncate(path, source.sizeBytes)
  }
  return new MachineDisk(programs, { path, format: 'raw' }, (await stat(path)).size, off)
}

/** A disk whose unwritten parts are those of `backing`, which is never written and may be shared by many. */
export async function createOverlay(
  programs: Programs,
  backing: string,
  path: string,
  off: OffGuard,
): Promise<MachineDisk> {
  const { size } = await stat(backing)
  await runChecked(
    [...programs.argv('qemu-img'), ...['create', '-q', '-f', 'qcow2', '-b', backing, '-F', 'raw', path]],
    { purpose: `make an overlay of ${backing}`, env: environmentOf(programs) },
  )
  return new MachineDisk(programs, { path, format: 'qcow2' }, size, off)
}

export class MachineDisk implements Disk {
  readonly sizeBytes: number
  readonly #programs: Programs
  readonly #off: OffGuard
  #file: { path: string; format: 'raw' | 'qcow2' }

  constructor(
    programs: Programs,
    file: { path: string; format: 'raw' | 'qcow2' },
    sizeBytes: number,
    off: OffGuard,
  ) {
    this.#programs = programs
    this.#file = file
    this.sizeBytes = sizeBytes
    this.#off = off
  }

  get path(): string {
    return this.#file.path
  }

  get format(): 'raw' | 'qcow2' {
    return this.#file.format
  }

  async read(offsetBytes: number, sizeBytes: number): Promise<Buffer> {
    const file = await this.#open('r', offsetBytes, sizeBytes)
    try {
      const buffer = Buffer.alloc(sizeBytes)
      let done = 0
      while (done < sizeBytes) {
        const { bytesRead } = await file.read(buffer, done, sizeBytes - done, offsetBytes + done)
        if (bytesRead === 0) throw new MachineError(`${this.path} ends at ${offsetBytes + done}`)
        done += bytesRead
      }
      return buffer
    } finally {
      await file.close()
    }
  }

  async write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    const file = await this.#open('r+', offsetBytes, bytes.byteLength)
    try {
      let done = 0
      while (done < bytes.byteLength) {
        const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, offsetBytes + done)
        done += bytesWritten
      }
    } finally {
      await file.close()
    }
  }

  async damage(offsetBytes: number, sizeBytes: number): Promise<void> {
    const bytes = await this.read(offsetBytes, sizeBytes)
    await this.write(
      offsetBytes,
      bytes.map((byte) => byte ^ 0xff),
    )
  }

  async zero(offsetBytes: number, sizeBytes: number): Promise<void> {
    const chunk = Buffer.alloc(Math.min(sizeBytes, 4 * 1024 * 1024))
    for (let done = 0; done < sizeBytes; done += chunk.byteLength) {
      await this.write(offsetBytes + done, chunk.subarray(0, sizeBytes - done))
    }
  }

  async copyTo(path: string): Promise<void> {
    await this.#prepare()
    await copySparse(this.#programs, this.#file.path, path)
  }

  partitions(): Promise<Partition[]> {
    return readPartitions((offset, size) => this.read(offset, size), this.sizeBytes)
  }

  async partition(label: string): Promise<Partition> {
    const all = await this.partitions()
    const found = all.find((partition) => partition.label === label)
    if (found) return found
    throw new MachineError(`no partition ${label}; there are ${all.map(({ label: l }) => l).join(', ')}`)
  }

  async #open(flags: 'r' | 'r+', offsetBytes: number, sizeBytes: number) {
    await this.#prepare()
    if (offsetBytes < 0 || offsetBytes + sizeBytes > this.sizeBytes) {
      throw new MachineError(
        `${sizeBytes} bytes at ${offsetBytes} are not on ${this.path} (${this.sizeBytes} bytes)`,
      )
    }
    return await open(this.#file.path, flags)
  }

  async #prepare(): Promise<void> {
    const obstacle = this.#off()
    if (obstacle) throw new MachineError(`${this.path} cannot be touched: ${obstacle}`)
    if (this.#file.format === 'qcow2') await this.#flatten()
  }

  /** An overlay becomes a raw disk of its own the first time somebody looks into it. */
  async #flatten(): Promise<void> {
    const raw = this.#file.path.replace(/(\.qcow2)?$/, '.raw')
    await runChecked(
      [...this.#programs.argv('qemu-img'), ...['convert', '-q', '-O', 'raw', this.#file.path, raw]],
      { purpose: `read ${this.#file.path}`, timeoutMs: 600_000, env: environmentOf(this.#programs) },
    )
    await rm(this.#file.path)
    this.#file = { path: raw, format: 'raw' }
  }
}
