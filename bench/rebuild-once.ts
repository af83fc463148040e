import { open, writeFile } from 'node:fs/promises'
import { rebuildBundle } from '@atomixos/config'

/**
 * Makes a bundle of a delta with the code that devices run, as a program of its own so that its memory can be told:
 * `rebuild-once.ts DELTA BOOT ROOTFS OUT RESULT`. RESULT gets a JSON document.
 */
const [deltaPath, bootPath, rootfsPath, outPath, resultPath] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
]
const [delta, boot, rootfs, out] = await Promise.all([
  ...[open(deltaPath), open(bootPath), open(rootfsPath), open(outPath, 'w')],
] as const)
const sources = [boot, rootfs]
let at = 0
await rebuildBundle({
  async next(lengthBytes) {
    const bytes = Buffer.allocUnsafeSlow(lengthBytes)
    await delta!.read(bytes, 0, lengthBytes, at)
    at += lengthBytes
    return bytes
  },
  async readSource(source, offsetBytes, into) {
    await sources[source]!.read(into, 0, into.byteLength, offsetBytes)
  },
  write: async (bytes) => void (await out!.write(bytes)),
})
await out!.sync()
await writeFile(resultPath, JSON.stringify({ peakBytes: process.resourceUsage().maxRSS * 1024 }))
