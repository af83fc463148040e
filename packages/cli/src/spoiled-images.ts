import { createHash } from 'node:crypto'
import { copyFile, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeIdentity } from '@atomixos/image/step/code-identity.ts'
import type { StepRunner } from '@atomixos/image/step/step.ts'
import { fileSha256 } from '@atomixos/image/tree/file-node.ts'

/**
 * Images that no build makes, for the stories' bad bundles. Steps like any other: what lies under a name never
 * changes there, and whoever reads its hash may believe it.
 */

/** 128 KiB of nothing that compresses, the same each time. Gives the path. */
export async function tinyImage(steps: StepRunner): Promise<string> {
  const result = await steps.run({
    name: 'tiny image',
    code: codeIdentity(import.meta.url),
    inputs: {},
    run: ({ outDir }) => {
      const noise = Array.from({ length: 4096 }, (_, index) =>
        createHash('sha256').update(`${index}`).digest(),
      )
      return writeFile(join(outDir, 'image'), Buffer.concat(noise))
    },
  })
  return join(result.dir, 'image')
}

/** A copy with a wrong byte in each megabyte: whatever the system reads first, it comes upon one. Gives the path. */
export async function damagedImage(path: string, steps: StepRunner): Promise<string> {
  const result = await steps.run({
    name: 'damaged image',
    code: codeIdentity(import.meta.url),
    inputs: { image: await fileSha256(path) },
    async run({ outDir }) {
      const damagedPath = join(outDir, 'image')
      await copyFile(path, damagedPath)
      const file = await open(damagedPath, 'r+')
      try {
        const { size } = await file.stat()
        const byte = Buffer.alloc(1)
        for (let position = 64 * 1024; position < size; position += 1024 * 1024) {
          await file.read(byte, 0, 1, position)
          byte[0] = byte[0]! ^ 0xff
          await file.write(byte, 0, 1, position)
        }
      } finally {
        await file.close()
      }
    },
  })
  return join(result.dir, 'image')
}
