/** Looks for a text in bytes that come in pieces, over the borders of these. */
export class TextFinder {
  readonly #wanted: Buffer
  #tail: Buffer = Buffer.alloc(0)

  constructor(wanted: string) {
    this.#wanted = Buffer.from(wanted)
  }

  /** Whether the text has been there, with these bytes. */
  add(bytes: Uint8Array): boolean {
    const all = Buffer.concat([this.#tail, bytes])
    this.#tail = all.subarray(Math.max(0, all.byteLength - this.#wanted.byteLength + 1))
    return all.includes(this.#wanted)
  }
}
