import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Signer } from '../keys/authority.ts'
import type { ToolTree } from '../tools/tools.ts'
import type { BundleManifest } from './manifest.ts'
import type { PayloadImage } from './payload.ts'

/**
 * RAUC's old format, made by RAUC itself: the signature covers the file, not a hash tree, and the manifest is inside.
 * Only to show that devices refuse it.
 */
export async function writePlainBundle(
  tools: ToolTree,
  options: {
    readonly manifest: BundleManifest
    readonly images: readonly PayloadImage[]
    /** Without a passphrase. */
    readonly signer: Signer
    readonly outPath: string
  },
): Promise<void> {
  const { manifest, images, signer, outPath } = options
  const dir = await mkdtemp(join(dirname(outPath), '.plain-'))
  try {
    await mkdir(join(dir, 'content'))
    for (const { filename, path } of images) await copyFile(path, join(dir, 'content', filename))
    const text = [
      '[update]',
      `compatible=${manifest.compatible}`,
      `version=${manifest.version}`,
      '[bundle]',
      'format=plain',
      ...images.flatMap(({ slotClass, filename }) => [`[image.${slotClass}]`, `filename=${filename}`]),
      '',
    ].join('\n')
    await writeFile(join(dir, 'content/manifest.raucm'), text)
    await tools.run({
      argv: [
        ...(['/usr/bin/rauc', '--cert=/certificate.pem', '--key=/key.pem', 'bundle'] as const),
        ...['/scratch/content', '/scratch/bundle'],
      ],
      purpose: 'to make a bundle in the plain format',
      mounts: [
        { hostPath: dir, guestPath: '/scratch', writable: true },
        { hostPath: signer.certificatePath, guestPath: '/certificate.pem', writable: false },
        { hostPath: signer.keyPath, guestPath: '/key.pem', writable: false },
      ],
      timeoutMs: 300_000,
    })
    await rename(join(dir, 'bundle'), outPath)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
