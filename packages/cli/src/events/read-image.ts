import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eventLogPath, parseEventLog, type ReadEvents } from '@atomixos/config'
import { UserError } from '@atomixos/image/errors.ts'
import { writeCpio } from '@atomixos/image/initrd/cpio.ts'
import type { Tree } from '@atomixos/image/tree/tree.ts'
import { createMachine, type Programs, runChecked } from '@atomixos/machine'

/** Room for the log and the file before it, which are half as large together at most. */
const resultBytes = 2 * 1024 * 1024

const limitMs = 180_000

export interface ImageToRead {
  readonly imagePath: string
  /** Of our own build: what is on the image may be broken, or hostile. */
  readonly bootSlotPath: string
  /** QEMU and mtools. */
  readonly programs: Programs
  /** A folder for this alone; it is removed in the end. */
  readonly dir: string
  readonly signal: AbortSignal
}

/**
 * The event log of a device's disk image. A small machine mounts it, with the kernel that devices have: only the kernel
 * finds again what was synced after the file system's last checkpoint, and those are the events that matter after a
 * power cut. (dump.f2fs does not look for it.) Nothing is written to the image; no root is needed.
 */
export async function readImageEvents(options: ImageToRead): Promise<ReadEvents> {
  const { imagePath, programs, dir, signal } = options
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  try {
    const kernel = join(dir, 'Image')
    const initrd = join(dir, 'initrd')
    await extract(options, 'Image', kernel)
    await extract(options, 'initrd', initrd)
    await writeFile(initrd, Buffer.concat([await firstProcess(), await readFile(initrd)]))
    await using machine = await createMachine({
      name: 'reader',
      programs,
      dir,
      kernel: {
        image: kernel,
        initrd,
        // The backup table serves when the first one is damaged, as on the device.
        commandLine: 'console=ttyAMA0 gpt loglevel=3 panic=-1 rdinit=/read-image',
      },
      memoryBytes: 512 * 1024 * 1024,
      agent: false,
      nics: [],
      panics: 'fail',
      extraDisks: [{ sizeBytes: resultBytes }],
      extraArguments: [
        ...[
          '-drive',
          `if=none,id=image,snapshot=on,format=${await formatOf(imagePath)},file=${commas(imagePath)}`,
        ],
        ...['-device', 'virtio-blk-pci,drive=image,serial=image'],
      ],
    })
    await machine.start()
    await machine.waitForPowerOff({ timeoutMs: limitMs, signal })
    const said = /^events: (.*)$/m.exec(machine.console.text)?.[1]
    if (said === 'none') return { events: [], problems: [] }
    if (said !== 'done') {
      throw new UserError(
        `${imagePath} can't be read: ${said?.replace(/^failed: /, '') ?? 'the machine that mounts it ended early'}`,
        { hint: 'it has to be a copy of the whole disk of a device that has started once' },
      )
    }
    const result = await machine.extraDisks[0]!.read(0, resultBytes)
    return parseEventLog(result.toString('utf8').replace(/\0+$/, ''), eventLogPath)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function extract({ bootSlotPath, programs }: ImageToRead, name: string, to: string): Promise<void> {
  await runChecked([...programs.argv('mcopy'), '-i', bootSlotPath, `::${name}`, to], {
    purpose: `take ${name} out of ${bootSlotPath}`,
  })
}

/** Before the initrd, which the kernel unpacks over it; padded as the kernel wants the next archive to begin. */
async function firstProcess(): Promise<Buffer> {
  const bytes = await readFile(new URL('./read-image.sh', import.meta.url))
  const tree: Tree = new Map([
    [
      '/read-image',
      { type: 'file', mode: 0o755, uid: 0, gid: 0, origin: 'events', content: { kind: 'bytes', bytes } },
    ],
  ])
  const chunks: Uint8Array[] = []
  for await (const chunk of writeCpio(tree, { mtime: 0 })) chunks.push(chunk)
  const archive = Buffer.concat(chunks)
  return Buffer.concat([archive, Buffer.alloc((512 - (archive.length % 512)) % 512)])
}

async function formatOf(imagePath: string): Promise<'raw' | 'qcow2'> {
  const file = await open(imagePath, 'r').catch((cause: Error) => {
    throw new UserError(`${imagePath} can't be read: ${cause.message}`, { exitCode: 2, cause })
  })
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0)
    return buffer.toString('latin1') === 'QFI\xfb' ? 'qcow2' : 'raw'
  } finally {
    await file.close()
  }
}

/** QEMU separates options by commas. */
function commas(path: string): string {
  return path.replaceAll(',', ',,')
}
