import { writeFile } from 'node:fs/promises'
import { rebuildFromDelta } from '@atomixos/device/upgrade/rebuild-bundle.ts'

/**
 * Makes a bundle of a delta as devices do, as a program of its own so that its memory can be told:
 * `rebuild-once.ts DELTA BOOT ROOTFS OUT SIZE SHA256 RESULT`. RESULT gets a JSON document.
 */
async function main(): Promise<void> {
  const [deltaPath, boot, rootfs, outPath, size, sha256, resultPath] = process.argv.slice(2) as [
    ...[string, string, string, string, string, string, string],
  ]
  const sources: Readonly<Record<string, string>> = { boot, rootfs }
  const start = performance.now()
  await rebuildFromDelta({
    deltaPath,
    bundle: { sizeBytes: Number(size), sha256 },
    outPath,
    sourcePath: (name) => sources[name]!,
    reserveBytes: 0,
  })
  const wallSeconds = (performance.now() - start) / 1000
  await writeFile(
    resultPath,
    JSON.stringify({ wallSeconds, peakBytes: process.resourceUsage().maxRSS * 1024 }),
  )
}

// No await outside: on a device it runs as CommonJS, as all programs there.
main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
