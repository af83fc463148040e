import { open, readFile } from 'node:fs/promises'

const chunkBytes = 1 << 20

/**
 * Reads all of a mounted bundle's payload, each block of which dm-verity compares with the signed hash tree. Gives the
 * reason why it is no good, undefined when it is whole. RAUC 1.13 does the same with `perform-pre-check`, but takes a
 * read error for the end and goes on: what is damaged is then noticed when half of a slot is written.
 */
export async function payloadDamage(mountPoint: string): Promise<string | undefined> {
  const device = mountSource(await readFile('/proc/self/mountinfo', 'utf8'), mountPoint)
  if (device === undefined) return `the bundle is not mounted at ${mountPoint}`
  return deviceDamage(device)
}

/** The same of any device or file. */
export async function deviceDamage(path: string): Promise<string | undefined> {
  const device = await open(path)
  let position = 0
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes)
    for (;;) {
      const { bytesRead } = await device.read(buffer, 0, chunkBytes, position)
      if (bytesRead === 0) break
      position += bytesRead
    }
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    return `the bundle is damaged: what it holds is not what was signed (${code} at byte ${position} of its payload)`
  } finally {
    await device.close()
  }
  return position === 0 ? 'the bundle is damaged: its payload is empty' : undefined
}

/** What is mounted there last, by the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)). */
export function mountSource(mountinfo: string, mountPoint: string): string | undefined {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => unescapeOctal(fields[4] ?? '') === mountPoint)
    .map((fields) => fields[fields.indexOf('-', 6) + 2])
    .map((source) => source && unescapeOctal(source))
    .at(-1)
}

function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  )
}
