/** Reads flattened device trees (Devicetree Specification 0.4, chapter 5); FIT images are such trees too. */
export interface DeviceTreeNode {
  readonly name: string
  readonly properties: ReadonlyMap<string, Buffer>
  readonly children: ReadonlyMap<string, DeviceTreeNode>
}

const magic = 0xd00dfeed
const token = { beginNode: 1, endNode: 2, property: 3, nop: 4, end: 9 } as const

/** Throws an Error that tells what is wrong with the bytes. */
export function parseDeviceTree(bytes: Uint8Array): { root: DeviceTreeNode; sizeBytes: number } {
  const blob = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (blob.length < 40 || blob.readUInt32BE(0) !== magic) throw new Error('not a flattened device tree')
  const sizeBytes = blob.readUInt32BE(4)
  if (sizeBytes > blob.length) throw new Error(`cut off: ${sizeBytes} bytes announced, ${blob.length} there`)
  const strings = blob.subarray(blob.readUInt32BE(12), sizeBytes)
  let at = blob.readUInt32BE(8)
  const word = () => {
    const value = blob.readUInt32BE(at)
    at += 4
    return value
  }
  const align = () => {
    at = (at + 3) & ~3
  }
  const readNode = (): DeviceTreeNode => {
    const name = cString(blob, at)
    at += name.length + 1
    align()
    const properties = new Map<string, Buffer>()
    const children = new Map<string, DeviceTreeNode>()
    for (;;) {
      const next = word()
      if (next === token.endNode) return { name, properties, children }
      if (next === token.property) {
        const length = word()
        const key = cString(strings, word())
        properties.set(key, blob.subarray(at, at + length))
        at += length
        align()
      } else if (next === token.beginNode) {
        const child = readNode()
        children.set(child.name, child)
      } else if (next !== token.nop) throw new Error(`unknown token ${next} at ${at - 4}`)
    }
  }
  if (word() !== token.beginNode) throw new Error('does not begin with a node')
  return { root: readNode(), sizeBytes }
}

/** `/soc/usb@ff580000`; undefined when a node of the path is missing. */
export function nodeAt(root: DeviceTreeNode, path: string): DeviceTreeNode | undefined {
  let node: DeviceTreeNode | undefined = root
  for (const name of path.split('/').filter(Boolean)) node = node?.children.get(name)
  return node
}

/** A property's first string. */
export function text(node: DeviceTreeNode | undefined, property: string): string | undefined {
  const value = node?.properties.get(property)
  return value === undefined ? undefined : cString(value, 0)
}

/** A property's first 32-bit cell. */
export function cell(node: DeviceTreeNode | undefined, property: string): number | undefined {
  const value = node?.properties.get(property)
  return value === undefined || value.length < 4 ? undefined : value.readUInt32BE(0)
}

function cString(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at)
  if (end < 0) throw new Error('a string has no end')
  return bytes.toString('latin1', at, end)
}
