import { readdir, readFile, realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Connection, Disk, DiskContent } from './disk.ts'

/** Where the kernel and udev tell of disks; other places in tests. */
export interface LinuxRoots {
  readonly sys: string
  readonly proc: string
  /** Absent in containers: then contents have no names. */
  readonly udev: string
}

const linuxRoots: LinuxRoots = { sys: '/sys', proc: '/proc', udev: '/run/udev/data' }

/** Disks that a person could mean by a name of their own. */
const diskName = /^(sd[a-z]+|mmcblk\d+|nvme\d+n\d+|vd[a-z]+|xvd[a-z]+|hd[a-z]+)$/
const systemMountPoints = /^\/($|(usr|var|etc|home|nix|boot|efi|boot\/efi)$)/

/** All disks with a medium, in order of name. */
export async function listLinuxDisks(roots = linuxRoots): Promise<Disk[]> {
  const names = (await readdir(join(roots.sys, 'block'))).filter((name) => diskName.test(name)).sort()
  const disks = await Promise.all(names.map((name) => readLinuxDisk(name, roots)))
  return disks.filter(({ sizeBytes }) => sizeBytes > 0)
}

/** What a device number stands for; undefined: the kernel knows no such block device. */
export async function findLinuxDevice(
  major: number,
  minor: number,
  roots = linuxRoots,
): Promise<{ readonly name: string; readonly partitionOf: string | undefined } | undefined> {
  const folder = await realpath(join(roots.sys, 'dev/block', `${major}:${minor}`)).catch(() => undefined)
  if (folder === undefined) return undefined
  const isPartition = (await readText(join(folder, 'partition'))) !== undefined
  return { name: basename(folder), partitionOf: isPartition ? basename(dirname(folder)) : undefined }
}

interface Node {
  /** As in /sys: `sdb1`. */
  readonly name: string
  readonly folder: string
  readonly number: string
  readonly sizeBytes: number
}

export async function readLinuxDisk(name: string, roots = linuxRoots): Promise<Disk> {
  const folder = join(roots.sys, 'block', name)
  const fact = (path: string) => readText(join(folder, path))
  const disk = await readNode(name, folder)
  const partitions = await readPartitions(name, folder)
  const above = await holdersOf([disk, ...partitions], roots)
  const mounts = parseMounts((await readText(join(roots.proc, 'self/mountinfo'))) ?? '')
  const swaps = parseSwaps((await readText(join(roots.proc, 'swaps'))) ?? '')
  const device = (await realpath(join(folder, 'device')).catch(() => undefined)) ?? ''

  const uses: string[] = []
  let system = false
  for (const node of [disk, ...partitions, ...above]) {
    const path = `/dev/${node.name}`
    const points = mounts.filter(({ number, source }) => number === node.number || source === path)
    for (const { point } of points) {
      uses.push(`${path} is mounted at ${point}`)
      system ||= systemMountPoints.test(point)
    }
    if (swaps.includes(path)) {
      uses.push(`${path} is swap`)
      system = true
    }
  }
  for (const node of above) uses.push(`it is part of /dev/${node.name}`)

  const vendor = await fact('device/vendor')
  const model = (await fact('device/model')) ?? (await fact('device/name'))
  const backing = await fact('loop/backing_file')
  const serial = (await fact('device/serial')) ?? (await fact('serial')) ?? (await fact('device/wwid'))
  const modelName =
    backing ?? ([isNumber(vendor) ? undefined : vendor, model].filter(Boolean).join(' ') || undefined)
  return {
    path: `/dev/${name.replaceAll('!', '/')}`,
    sizeBytes: disk.sizeBytes,
    sectorBytes: Number((await fact('queue/logical_block_size')) ?? 512),
    model: modelName,
    serial,
    connection: connectionOf(name, device, await fact('device/type')),
    removable: (await fact('removable')) === '1',
    readOnly: (await fact('ro')) === '1',
    system,
    uses: [...new Set(uses)],
    contents: await Promise.all(partitions.map((node) => describeContent(node, roots))),
    // The kernel gives every disk that appears a number that it never gives again (since 5.15).
    identity: [disk.number, await fact('diskseq'), disk.sizeBytes, modelName, serial].join('|'),
  }
}

async function readNode(name: string, folder: string): Promise<Node> {
  return {
    name,
    folder,
    number: (await readText(join(folder, 'dev'))) ?? '',
    // In units of 512 bytes, whatever the device's sectors are.
    sizeBytes: Number((await readText(join(folder, 'size'))) ?? 0) * 512,
  }
}

async function readPartitions(disk: string, folder: string): Promise<Node[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.startsWith(disk))
  const found: (Node & { readonly index: number })[] = []
  for (const name of names) {
    const index = await readText(join(folder, name, 'partition'))
    if (index !== undefined)
      found.push({ ...(await readNode(name, join(folder, name))), index: Number(index) })
  }
  return found.sort((a, b) => a.index - b.index)
}

/** Device mapper, RAID and the like that are made of these, and what is made of those in turn. */
async function holdersOf(nodes: readonly Node[], roots: LinuxRoots): Promise<Node[]> {
  const found = new Map<string, Node>()
  const pending = [...nodes]
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    for (const name of await readdir(join(node.folder, 'holders')).catch(() => [])) {
      if (found.has(name)) continue
      const holder = await readNode(name, join(roots.sys, 'block', name))
      found.set(name, holder)
      pending.push(holder)
    }
  }
  return [...found.values()]
}

function connectionOf(name: string, device: string, type: string | undefined): Connection {
  if (name.startsWith('loop')) return 'loop'
  if (name.startsWith('mmcblk')) return type === 'SD' ? 'SD card' : 'eMMC'
  if (/\/usb\d+\//.test(device)) return 'USB'
  if (name.startsWith('nvme')) return 'NVMe'
  if (/\/ata\d+\//.test(device)) return 'SATA'
  return /\/virtio\d+/.test(device) ? 'virtio' : 'unknown'
}

async function describeContent(
  { name, number, sizeBytes }: Node,
  { udev }: LinuxRoots,
): Promise<DiskContent> {
  const facts = parseUdev((await readText(join(udev, `b${number}`))) ?? '')
  const label = facts['ID_FS_LABEL'] ?? facts['ID_PART_ENTRY_NAME']
  const what = [facts['ID_FS_TYPE'], label && `"${label}"`].filter(Boolean).join(' ')
  return { path: `/dev/${name}`, sizeBytes, what: what || undefined }
}

/** `E:KEY=value` lines of udev's data base. Pure. */
export function parseUdev(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...text.matchAll(/^E:([A-Z0-9_]+)=(.*)$/gm)].map(([, key, value]) => [key!, value!]),
  )
}

/** Device number, mount point and source of each line of /proc/self/mountinfo (proc_pid_mountinfo(5)). Pure. */
export function parseMounts(text: string): { number: string; point: string; source: string }[] {
  return text.split('\n').flatMap((line) => {
    const words = line.split(' ')
    const separator = words.indexOf('-')
    const [number, point, source] = [words[2], words[4], words[separator + 2]]
    if (separator === -1 || number === undefined || point === undefined || source === undefined) return []
    return [{ number, point: unescapeOctal(point), source: unescapeOctal(source) }]
  })
}

/** Paths of /proc/swaps. Pure. */
export function parseSwaps(text: string): string[] {
  const lines = text.split('\n').slice(1)
  return lines.map((line) => unescapeOctal(line.split(/\s/, 1)[0]!)).filter(Boolean)
}

/** The kernel writes a space as `\040`. */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
}

/** virtio gives a number where others give a name. */
function isNumber(text: string | undefined): boolean {
  return text !== undefined && /^0x[0-9a-f]+$/.test(text)
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined
  } catch {
    return undefined
  }
}

/** Files that loop devices show as disks, by the kernel's own word. */
export async function loopDeviceOf(filePath: string, roots = linuxRoots): Promise<string | undefined> {
  for (const name of await readdir(join(roots.sys, 'block')).catch(() => [])) {
    if (!name.startsWith('loop')) continue
    if ((await readText(join(roots.sys, 'block', name, 'loop/backing_file'))) === filePath)
      return `/dev/${name}`
  }
  return undefined
}
