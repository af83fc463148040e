import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Signer } from '../keys/authority.ts'
import type { ToolTree } from '../tools/tools.ts'
import { type BundleManifest, renderBundleManifest } from './manifest.ts'
import { buildIdentity, type Payload, payloadImages, writePayload } from './payload.ts'
import { signManifest, writeBundle } from './sign.ts'

/** For tests: a payload of two small images. */
export async function smallPayload(dir: string): Promise<Payload> {
  await mkdir(join(dir, 'blocks'), { recursive: true })
  const noise = Array.from({ length: 4096 }, (_, i) => createHash('sha256').update(`${i}`).digest())
  await writeFile(join(dir, 'boot.vfat'), Buffer.alloc(100_000, 'boot'))
  await writeFile(join(dir, 'rootfs.squashfs'), Buffer.concat(noise))
  const images = await payloadImages([
    { slotClass: 'boot', filename: 'boot.vfat', path: join(dir, 'boot.vfat') },
    { slotClass: 'rootfs', filename: 'rootfs.squashfs', path: join(dir, 'rootfs.squashfs') },
  ])
  const options = { sourceDateEpoch: 1_700_000_000, workDir: join(dir, 'blocks') }
  return writePayload(images, join(dir, 'payload'), options)
}

export function manifestOf(payload: Payload, changes: Partial<BundleManifest> = {}): BundleManifest {
  return {
    compatible: 'atomixos-rock64',
    version: '1.2.3',
    description: 'AtomixOS of a test',
    build: buildIdentity(payload.images),
    verity: payload.verity,
    images: payload.images,
    ...changes,
  }
}

/** For tests: a signed bundle in `outPath`. */
export async function signedBundle(
  tools: ToolTree,
  options: {
    readonly payload: Payload
    readonly signer: Signer
    readonly outPath: string
    readonly signingTimeSeconds?: number
    readonly manifest?: BundleManifest
  },
): Promise<string> {
  const { payload, outPath } = options
  const text = renderBundleManifest(options.manifest ?? manifestOf(payload))
  const signature = await signManifest(tools, text, options)
  await writeBundle({ payloadPath: payload.path, signature, outPath })
  return outPath
}
