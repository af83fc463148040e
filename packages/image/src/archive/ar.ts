import type { FileHandle } from 'node:fs/promises'

/** One member of an ar archive: where its bytes lie in the file. */
export interface ArMember {
  readonly name: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

const magic = '!<arch>\n'
const headerBytes = 60

/** The members in file order. Throws an Error that tells what is wrong with the archive. */
export async function readArMembers(file: FileHandle): Promise<ArMember[]> {
  const fileBytes = (await file.stat()).size
  if ((await readText(file, 0, magic.length)) !== magic) throw new Error('it does not begin as an ar archive')
  const members: ArMember[] = []
  let position = magic.length
  while (position < fileBytes) {
    const header = await readText(file, position, headerBytes)
    if (header.length < headerBytes || header.slice(58) !== '`\n') {
      throw new Error(`no ar header at byte ${position}`)
    }
    const sizeBytes = Number(header.slice(48, 58))
    const offsetBytes = position + headerBytes
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || offsetBytes + sizeBytes > fileBytes) {
      throw new Error(`it ends in the middle of the member at byte ${position}`)
    }
    members.push({ name: header.slice(0, 16).trimEnd().replace(/\/$/, ''), offsetBytes, sizeBytes })
    position = offsetBytes + sizeBytes + (sizeBytes % 2)
  }
  return members
}

async function readText(file: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  return buffer.toString('latin1', 0, bytesRead)
}
