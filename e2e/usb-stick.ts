import { execFile } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Machine } from '@atomixos/machine'
import { imagePrograms } from './setup.ts'

const run = promisify(execFile)
const MiB = 1 << 20
const firstSector = 2048

/** Files by their path on the stick, from files of this machine; or an empty folder. */
export type StickContent = Readonly<Record<string, string>>

export interface Stick {
  readonly path: string
  /** A file that is on it, as a computer reads it; undefined: there is none. */
  read(path: string): Promise<string | undefined>
}

/** A stick as it is bought: one partition with FAT32, and what a person has copied to it. */
export async function makeStick(path: string, content: StickContent, sizeMiB = 256): Promise<Stick> {
  await rm(path, { force: true })
  const file = await open(path, 'wx')
  await file.truncate(sizeMiB * MiB)
  const table = Buffer.alloc(512)
  table[450] = 0x0c
  table.writeUInt32LE(firstSector, 454)
  table.writeUInt32LE((sizeMiB * MiB) / 512 - firstSector, 458)
  table.writeUInt16LE(0xaa55, 510)
  await file.write(table, 0, 512, 0)
  await file.close()
  const partition = `${path}@@${firstSector * 512}`
  const blocks = ((sizeMiB * MiB) / 512 - firstSector) / 2
  await tool('mkfs.vfat', ['-F', '32', `--offset=${firstSector}`, path, String(blocks)])
  const folders = Object.keys(content).flatMap((name) => parents(name))
  for (const folder of new Set(folders)) await tool('mmd', ['-i', partition, `::${folder}`])
  for (const [name, from] of Object.entries(content))
    await tool('mcopy', ['-i', partition, from, `::${name}`])
  return {
    path,
    read: (name) =>
      tool('mcopy', ['-n', '-i', partition, `::${name}`, '-']).then(
        (text) => text,
        () => undefined,
      ),
  }
}

/** `a/b/c` → `a`, `a/b`. */
function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

async function tool(program: string, args: readonly string[]): Promise<string> {
  const [loader, ...rest] = imagePrograms.argv(program)
  const { stdout } = await run(loader!, [...rest, ...args], {
    env: { ...imagePrograms.env, MTOOLS_SKIP_CHECK: '1', LC_ALL: 'C.UTF-8' },
    maxBuffer: 16 * MiB,
  })
  return stdout
}

/** Into the machine's USB controller; `bytesPerS`: as slow as that; `id`: for more than one at a time. */
export async function plugIn(
  { qmp }: Machine,
  { path }: Stick,
  { bytesPerS = 0, id = 'stick' }: { readonly bytesPerS?: number; readonly id?: string } = {},
): Promise<void> {
  await qmp!.execute('object-add', {
    ...{ 'qom-type': 'throttle-group', id: `${id}-speed` },
    limits: { 'bps-read': bytesPerS },
  })
  await qmp!.execute('blockdev-add', {
    ...{ driver: 'throttle', 'node-name': id, 'throttle-group': `${id}-speed` },
    file: { driver: 'raw', file: { driver: 'file', filename: path } },
  })
  await qmp!.execute('device_add', { driver: 'usb-storage', id, bus: 'usb.0', drive: id })
}

/** Without a word to the guest, as people do. */
export async function pullOut(
  { qmp }: Machine,
  { id = 'stick' }: { readonly id?: string } = {},
): Promise<void> {
  const gone = qmp!.event('DEVICE_DELETED')
  // QEMU may crash over a request whose stick is gone. While the machine stands still it sends none, and the one that
  // waited for its turn meanwhile has ended after this: 120 KiB at most, at the stick's speed.
  await qmp!.execute('stop')
  await sleep(1000)
  await qmp!.execute('device_del', { id })
  await gone
  await qmp!.execute('cont')
  await qmp!.execute('blockdev-del', { 'node-name': id })
  await qmp!.execute('object-del', { id: `${id}-speed` })
}
