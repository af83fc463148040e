import xz from 'xz-decompress'

/** The whole content of a `.xz` file. */
export async function decompressXz(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new xz.XzReadableStream(new Blob([packed as Uint8Array<ArrayBuffer>]).stream())
  return new Uint8Array(await new Response(stream).arrayBuffer())
}
