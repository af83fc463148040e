import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bundleCompatible } from '@atomixos/config'
import type { Signer } from '../keys/authority.ts'
import { readCertificates } from '../keys/certificate.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import type { ToolTree } from '../tools/tools.ts'
import { fileSha256 } from '../tree/file-node.ts'
import { renderBundleManifest } from './manifest.ts'
import {
  buildIdentity,
  type Payload,
  type PayloadImage,
  payloadIdentity,
  payloadImage,
  writePayload,
} from './payload.ts'
import { signManifest, writeBundle } from './sign.ts'

export interface BundleOptions {
  readonly board: string
  readonly version: string
  /** For people who ask `rauc info`. */
  readonly description: string
  /** Results of steps. */
  readonly bootSlotPath: string
  readonly rootfsPath: string
  readonly sourceDateEpoch: number
  readonly signer: Signer
  readonly signingTimeSeconds?: number | undefined
}

/** The update of a board as one signed file; gives its path. Payload and signature are steps of their own. */
export async function buildBundle(
  options: BundleOptions,
  { steps, tools }: { steps: StepRunner; tools: ToolTree },
): Promise<{ readonly path: string }> {
  const payload = await buildPayload(options, steps)
  const manifestText = renderBundleManifest({
    compatible: bundleCompatible(options.board),
    version: options.version,
    description: options.description,
    build: buildIdentity(payload.images),
    verity: payload.verity,
    images: payload.images,
  })
  const { signer, signingTimeSeconds } = options
  const result = await steps.run({
    name: 'sign bundle',
    code: codeIdentity(import.meta.url),
    // The certificate stands for the key. Without a time given, what was signed once need not be signed again.
    inputs: { manifestText, certificates: await fingerprints(signer), signingTimeSeconds, tools: tools.id },
    async run({ outDir, signal }) {
      const signature = await signManifest(tools, manifestText, { signer, signingTimeSeconds, signal })
      await writeBundle({ payloadPath: payload.path, signature, outPath: join(outDir, 'bundle.raucb') })
    },
  })
  return { path: join(result.dir, 'bundle.raucb') }
}

async function buildPayload(options: BundleOptions, steps: StepRunner): Promise<Payload> {
  const { sourceDateEpoch, version } = options
  const release = { compatible: bundleCompatible(options.board), version }
  const images = await Promise.all([
    stepImage('boot', 'boot.vfat', options.bootSlotPath),
    stepImage('rootfs', 'rootfs.squashfs', options.rootfsPath),
  ])
  const result = await steps.run({
    name: 'bundle payload',
    code: codeIdentity(import.meta.url),
    inputs: {
      images: images.map(({ path: _, ...image }) => image),
      form: payloadIdentity(),
      release,
      sourceDateEpoch,
    },
    async run({ outDir, workDir, signal, task }) {
      const { verity } = await writePayload(images, join(outDir, 'payload'), {
        sourceDateEpoch,
        release,
        workDir,
        signal,
        onProgress: (done, total) => task.progress(done, total, 'bytes'),
      })
      await writeFile(join(outDir, 'verity.json'), `${JSON.stringify(verity)}\n`)
    },
  })
  const verity = JSON.parse(await readFile(join(result.dir, 'verity.json'), 'utf8')) as Payload['verity']
  return { path: join(result.dir, 'payload'), verity, images: images.map(({ path: _, ...image }) => image) }
}

/** The hash is kept beside a step's result: a build that has nothing to do reads no image. */
async function stepImage(slotClass: string, filename: string, path: string): Promise<PayloadImage> {
  return payloadImage({ slotClass, filename, path, sha256: await fileSha256(path) })
}

async function fingerprints(signer: Signer): Promise<string[]> {
  const chain = signer.chainPath === undefined ? [] : await readCertificates(signer.chainPath)
  const certificates = [...(await readCertificates(signer.certificatePath)), ...chain]
  return certificates.map(({ fingerprint256 }) => fingerprint256)
}
