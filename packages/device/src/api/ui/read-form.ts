import { createHash } from 'node:crypto'
import { type Refusal, refusal } from '../check-request.ts'

export interface ReadForm {
  readonly token: string
  readonly claim: string | undefined
  readonly upload: Uint8Array
  /** When it was pasted, or a file that is plain text. */
  readonly text: string | undefined
}

/** The boot UI's form, as browsers send it. */
export async function readForm(mediaType: string, body: Uint8Array): Promise<ReadForm | Refusal> {
  let fields: FormData
  try {
    fields = await new Response(body as Uint8Array<ArrayBuffer>, {
      headers: { 'Content-Type': mediaType },
    }).formData()
  } catch {
    return refusal(400, 'the form is not understood', 'load the page again')
  }
  const textOf = (name: string): string => {
    const value = fields.get(name)
    return typeof value === 'string' ? value : ''
  }
  const file = fields.get('file')
  const fileBytes =
    typeof file === 'object' && file !== null ? new Uint8Array(await file.arrayBuffer()) : undefined
  // Forms end lines with CR and LF; the text had what its author has written, most likely.
  const pasted = textOf('text').replaceAll('\r\n', '\n')
  const hasFile = fileBytes !== undefined && fileBytes.length > 0
  // Who was shown a file's mistakes and sends the mended file has the old text still lying in the form.
  const isOld = hasFile && textOf('shown') === shownMark(pasted)
  const hasText = pasted.trim() !== '' && !isOld
  if (hasFile && hasText) return refusal(400, 'there are a file and a text', 'leave one of them out')
  if (!hasFile && !hasText)
    return refusal(400, 'there is nothing in the form', 'choose a file, or paste the text')
  const upload = hasFile ? fileBytes : Buffer.from(pasted)
  return {
    token: textOf('token'),
    claim: textOf('claim').slice(0, 256) || undefined,
    upload,
    text: hasFile ? plainText(fileBytes) : pasted,
  }
}

/** Of a text that the page has put into the form, to know it again. */
export function shownMark(text: string): string {
  return createHash('sha256').update(text.replaceAll(/\r\n?/g, '\n')).digest('hex')
}

function plainText(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
