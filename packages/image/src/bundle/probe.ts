import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Signer } from '../keys/authority.ts'
import type { ToolTree } from '../tools/tools.ts'
import { renderBundleManifest } from './manifest.ts'
import { payloadImages, writePayload } from './payload.ts'
import { signManifest, writeBundle } from './sign.ts'
import { type Judgement, judgeSignature } from './verify.ts'

/** Whether a device with this keyring would take what this signer signs: tried with a bundle of a few kilobytes. */
export async function judgeSigner(
  tools: ToolTree,
  options: {
    readonly signer: Signer
    /** PEM. */
    readonly keyring: string
    readonly signingTimeSeconds?: number | undefined
  },
): Promise<Judgement> {
  const { signer, keyring, signingTimeSeconds } = options
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-probe-'))
  try {
    const [imagePath, payloadPath] = [join(dir, 'probe.img'), join(dir, 'payload')]
    // More than one block of the hash tree, however well it is compressed.
    await writeFile(imagePath, randomBytes(16 * 1024))
    const images = await payloadImages([{ slotClass: 'probe', filename: 'probe.img', path: imagePath }])
    await mkdir(join(dir, 'blocks'))
    const { verity } = await writePayload(images, payloadPath, {
      sourceDateEpoch: 0,
      workDir: join(dir, 'blocks'),
    })
    const manifest = { compatible: 'probe', version: '0', description: '', build: '', verity, images }
    const signature = await signManifest(tools, renderBundleManifest(manifest), {
      signer,
      signingTimeSeconds,
    })
    const [bundlePath, keyringPath] = [join(dir, 'probe.raucb'), join(dir, 'keyring.pem')]
    await writeBundle({ payloadPath, signature, outPath: bundlePath })
    await writeFile(keyringPath, keyring)
    return await judgeSignature(tools, { bundlePath, keyringPath })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
