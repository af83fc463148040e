import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Channel,
  channelCompatible,
  channelFileVersion,
  channelLimits,
  channelMeta,
  parseChannel,
  readChannel,
  renderChannel,
} from '@atomixos/config'
import { renderBundleManifest } from '../bundle/manifest.ts'
import { payloadImages, writePayload } from '../bundle/payload.ts'
import { signManifest, writeBundle } from '../bundle/sign.ts'
import { readRaucInfo } from '../bundle/verify.ts'
import { UserError } from '../errors.ts'
import type { Signer } from '../keys/authority.ts'
import type { ToolTree } from '../tools/tools.ts'

/**
 * A channel file is a RAUC bundle whose signed manifest carries the document. So the device needs no cryptography of its
 * own, and signer, purpose, revocation and time are judged exactly as for an update. Throws UserError when a device would
 * not read it.
 */
export async function writeChannelFile(
  tools: ToolTree,
  options: {
    readonly channel: Channel
    readonly signer: Signer
    readonly signingTimeSeconds?: number | undefined
    readonly outPath: string
  },
): Promise<void> {
  const { channel, outPath } = options
  const document = renderChannel(channel)
  const parsed = parseChannel(document)
  if ('problems' in parsed) {
    throw new UserError(`devices would not read this channel:\n  ${parsed.problems.join('\n  ')}`, {
      exitCode: 2,
    })
  }
  await writeSignedDocument(tools, { ...options, board: channel.board, document })
  const { size } = await stat(outPath)
  if (size <= channelLimits.fileBytesMax) return
  await rm(outPath)
  throw new UserError(
    `the channel file would have ${size} bytes, and devices read ${channelLimits.fileBytesMax}`,
    {
      hint: 'take something out of the channel: stones, deltas or canaries',
      exitCode: 2,
    },
  )
}

/** Any text as the document; for tests of what devices refuse. */
export async function writeSignedDocument(
  tools: ToolTree,
  options: {
    readonly board: string
    readonly document: string
    readonly signer: Signer
    readonly signingTimeSeconds?: number | undefined
    readonly outPath: string
    /** Default: that of a channel file. */
    readonly compatible?: string
  },
): Promise<void> {
  const { board, document, outPath } = options
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-channel-'))
  try {
    const payload = await emptyPayload(dir)
    const manifest = renderBundleManifest({
      compatible: options.compatible ?? channelCompatible(board),
      version: channelFileVersion,
      description: 'AtomixOS update channel, nothing to install',
      build: createHash('sha256').update(document).digest('hex').slice(0, 32),
      verity: payload.verity,
      images: [],
      meta: { [channelMeta.section]: { [channelMeta.key]: Buffer.from(document).toString('base64url') } },
    })
    const signature = await signManifest(tools, manifest, options)
    await writeBundle({ payloadPath: payload.path, signature, outPath })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** RAUC wants a hash tree, and that needs more than one block: a file of five kilobytes that can't be compressed. */
async function emptyPayload(dir: string) {
  const [path, workDir] = [join(dir, 'padding'), join(dir, 'blocks')]
  const noise = Array.from({ length: 160 }, (_, index) =>
    createHash('sha256').update(`padding ${index}`).digest(),
  )
  await writeFile(path, Buffer.concat(noise))
  await mkdir(workDir)
  const images = await payloadImages([{ slotClass: 'none', filename: 'padding', path }])
  return writePayload(images, join(dir, 'payload'), { sourceDateEpoch: 0, workDir })
}

export interface ReadChannelFile {
  readonly channel: Channel
  readonly identity: string
}

/** As a device with this keyring reads it, whatever the time. Throws UserError with the reason why it would not. */
export async function readChannelFile(
  tools: ToolTree,
  options: { readonly path: string; readonly keyringPath: string },
): Promise<ReadChannelFile> {
  const { path, keyringPath } = options
  const refuse = (reason: string) =>
    new UserError(`${path}: devices with ${keyringPath} refuse it: ${reason}`, {
      hint: 'whoever can write to the feed could have put it there; publish nothing on top of it before you know',
    })
  const said = await readRaucInfo(tools, { bundlePath: path, keyringPath })
  if (!said.accepted) throw refuse(said.reason)
  const read = readChannel(said.stdout)
  if ('kind' in read) throw refuse(read.reason)
  const { channel, identity, board } = read
  if (board !== channel.board)
    throw refuse(`it is signed for the board "${board}" and says "${channel.board}"`)
  return { channel, identity }
}
