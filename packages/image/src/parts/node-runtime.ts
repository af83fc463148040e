import { createReadStream } from 'node:fs'
import { chmod, open } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { TarReader } from '../archive/tar.ts'
import type { LockedNpmPackage } from '../lock/lock.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'

/**
 * The device's Node out of the locked npm package, without its symbol table: 20 MB less to store. Gives the
 * path of the binary.
 */
export async function stripNode(
  options: { locked: LockedNpmPackage; tarballPath: () => Promise<string> },
  { steps, tools }: { steps: StepRunner; tools: ToolTree },
): Promise<string> {
  const result = await steps.run({
    name: 'node-runtime',
    code: codeIdentity(import.meta.url),
    inputs: { integrity: options.locked.integrity, tools: tools.id },
    async run({ outDir, workDir }) {
      await unpackNode(await options.tarballPath(), join(workDir, 'node'))
      await tools.run({
        argv: ['/usr/bin/aarch64-linux-gnu-strip', '-o', '/out/node', '/scratch/node'],
        purpose: "to strip the device's Node",
        mounts: [
          { hostPath: workDir, guestPath: '/scratch', writable: false },
          { hostPath: outDir, guestPath: '/out', writable: true },
        ],
        timeoutMs: 120_000,
      })
      await chmod(join(outDir, 'node'), 0o755)
    },
  })
  return join(result.dir, 'node')
}

/** npm tarballs hold everything below `package/`. */
async function unpackNode(tarballPath: string, targetPath: string): Promise<void> {
  await using target = await open(targetPath, 'wx', 0o755)
  const chunks: Buffer[] = []
  let wanted = false
  let found = false
  const reader = new TarReader({
    entry(entry) {
      wanted = entry.type === 'file' && entry.path === 'package/bin/node'
      found ||= wanted
    },
    data(bytes) {
      if (wanted) chunks.push(Buffer.from(bytes))
    },
    fileEnd() {
      wanted = false
    },
  })
  for await (const chunk of createReadStream(tarballPath).pipe(createGunzip())) {
    reader.push(chunk as Buffer)
    for (const bytes of chunks.splice(0)) await target.write(bytes)
  }
  if (!found) throw new Error(`${tarballPath} holds no package/bin/node`)
}
