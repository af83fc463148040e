/** One line of a public key as OpenSSH writes it. */
export interface SshKey {
  readonly type: string
  /** Base64. */
  readonly blob: string
  readonly comment: string
}

/** What follows the type inside the blob: the lengths in bytes that each field may have. */
type Fields = readonly { readonly min: number; readonly max: number; readonly text?: string }[]

const application = { min: 1, max: 1024 }
const ed25519 = { min: 32, max: 32 }

const keyTypes: ReadonlyMap<string, Fields> = new Map<string, Fields>([
  ['ssh-ed25519', [ed25519]],
  ['ecdsa-sha2-nistp256', [curve('nistp256'), { min: 65, max: 65 }]],
  ['ecdsa-sha2-nistp384', [curve('nistp384'), { min: 97, max: 97 }]],
  ['ecdsa-sha2-nistp521', [curve('nistp521'), { min: 133, max: 133 }]],
  // Exponent, and a modulus of 1,024 to 16,384 bits: sshd takes no others.
  [
    'ssh-rsa',
    [
      { min: 1, max: 64 },
      { min: 128, max: 2049 },
    ],
  ],
  ['sk-ssh-ed25519@openssh.com', [ed25519, application]],
  ['sk-ecdsa-sha2-nistp256@openssh.com', [curve('nistp256'), { min: 65, max: 65 }, application]],
])

function curve(name: string): { min: number; max: number; text: string } {
  return { min: name.length, max: name.length, text: name }
}

export const sshKeyTypes: readonly string[] = [...keyTypes.keys()]

/** The key, or what is wrong with it. A key that sshd would not take locks its owner out, so all of it is looked at. */
export function parseSshKey(text: string): SshKey | { readonly problem: string; readonly hint?: string } {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) {
    return { problem: 'the key has a control character in it', hint: 'a public key is one line' }
  }
  if (text.length > 16_384) return { problem: 'the key is too long' }
  const [type = '', blob = '', ...comment] = text.trim().split(/ +/)
  const fields = keyTypes.get(type)
  if (fields === undefined) {
    return {
      problem: `${JSON.stringify(type.slice(0, 40))} is not a supported type of key`,
      hint: `allowed: ${sshKeyTypes.join(', ')}`,
    }
  }
  const bytes = fromBase64(blob)
  if (bytes === undefined)
    return { problem: 'the key is not valid base64', hint: 'copy the whole line of the .pub file' }
  const found = readFields(bytes)
  const inside = found?.[0] === undefined ? undefined : String.fromCharCode(...found[0].subarray(0, 64))
  if (found === undefined || inside === undefined) {
    return { problem: 'the key is cut off or damaged', hint: 'copy the whole line of the .pub file' }
  }
  if (inside !== type)
    return { problem: `the key says ${type} in front and is ${JSON.stringify(inside)} inside` }
  const values = found.slice(1)
  const fits =
    values.length === fields.length &&
    fields.every(({ min, max, text: expected }, index) => {
      const value = values[index]!
      if (value.length < min || value.length > max) return false
      return expected === undefined || String.fromCharCode(...value) === expected
    })
  if (!fits) return { problem: `the key is no ${type} key: it has other parts or lengths` }
  return { type, blob, comment: comment.join(' ') }
}

function fromBase64(text: string): Uint8Array | undefined {
  if (text === '' || text.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  // Bits that belong to no byte have to be zero: one key has one way of being written.
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Strings with their length in front, four bytes each; undefined when they do not end where the bytes do. */
function readFields(bytes: Uint8Array): Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fields: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    if (at + 4 > bytes.length) return undefined
    const length = view.getUint32(at)
    at += 4
    if (at + length > bytes.length) return undefined
    fields.push(bytes.subarray(at, at + length))
    at += length
  }
  return fields
}
