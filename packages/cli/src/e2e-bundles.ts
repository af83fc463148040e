import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { defaultChannelName } from '@atomixos/config'
import {
  type BundleFixture,
  bundleFixtures,
  type ChannelName,
  channelFixtures,
  type DeltaName,
  deltaNames,
  type FixtureName,
  feedBundlePath,
  feedDeltaPath,
  isChannelName,
  isDeltaName,
} from '@atomixos/e2e/bundle-fixtures.ts'
import type { BoardParts } from '@atomixos/image/build/build-board.ts'
import { buildBundle } from '@atomixos/image/bundle/build-bundle.ts'
import { inspectBundle } from '@atomixos/image/bundle/inspect.ts'
import { payloadImages } from '@atomixos/image/bundle/payload.ts'
import { writePlainBundle } from '@atomixos/image/bundle/plain.ts'
import { readBundle } from '@atomixos/image/bundle/read.ts'
import { writeBundle } from '@atomixos/image/bundle/sign.ts'
import type { Board } from '@atomixos/image/definition/words.ts'
import { writeDelta } from '@atomixos/image/delta/make-delta.ts'
import { readPlainBundle } from '@atomixos/image/delta/plain-bundle.ts'
import { writeChannelFile } from '@atomixos/image/feed/channel-file.ts'
import { hashFile } from '@atomixos/image/feed/feed-tree.ts'
import { createAuthority, issueSigner, type Signer, signerAt } from '@atomixos/image/keys/authority.ts'
import type { StepRunner } from '@atomixos/image/step/step.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import type { CommandContext } from './context.ts'
import { findBoard, openComposeContext, partsOf } from './pipeline.ts'
import { openDevelopmentKeys } from './signing.ts'
import { damagedImage, tinyImage } from './spoiled-images.ts'

/**
 * The bundles and channel files of the stories, good and bad, made by the code that makes the product's. What they share
 * with it (and with what was built before) is not made again. Gives their paths.
 */
export async function buildBundleFixtures(
  context: CommandContext,
  names: readonly FixtureName[],
): Promise<Partial<Record<FixtureName, string>>> {
  const channels = [...new Set(names)].filter(isChannelName).sort()
  const wanted = [...new Set(names)].filter((name) => !isChannelName(name) && !isDeltaName(name)).sort()
  if (wanted.length === 0) return {}
  const product = findBoard('rock64')
  const { signing, ...composing } = await openComposeContext(context, product, {})
  const partsFor = (board: Board, version: string): BoardParts => {
    const facts = { ...composing.facts, version }
    return partsOf(context, board, { composing: { ...composing, facts }, signing })
  }
  const workDir = join(context.workspace.cacheDir, 'e2e-bundles')
  await mkdir(workDir, { recursive: true })
  const paths: Partial<Record<FixtureName, string>> = {}
  for (const name of wanted) {
    const fixture = bundleFixtures[name]
    const board = fixture.change?.(product) ?? product
    const images = await fixtureImages(fixture, {
      parts: partsFor(board, fixture.version),
      product: partsFor(product, composing.facts.version!),
      steps: composing.steps,
    })
    const { path } = await buildBundle(
      {
        board: fixture.forBoard ?? product.name,
        version: fixture.version,
        description: `DEVELOPMENT, not for the field: the story bundle "${name}"`,
        ...images,
        sourceDateEpoch: composing.inputs.lock.sourceDateEpoch,
        signer: await fixtureSigner(context, composing.tools, fixture.signer),
      },
      composing,
    )
    paths[name] = await respoil(composing.tools, fixture, {
      path,
      images,
      signer: signing.signer,
      outPath: join(workDir, `${name}.raucb`),
    })
  }
  if (names.some(isDeltaName)) {
    const runs = await partsFor(product, composing.facts.version!).bundle()
    const made = { fromPath: runs.path, toPath: paths.next!, workDir }
    Object.assign(paths, await writeDeltaFixtures(composing.tools, made))
  }
  const from = composing.facts.version!
  for (const name of channels) {
    paths[name] = join(workDir, `${name}.channel`)
    await writeChannelFixture(context, composing.tools, { name, from, paths, outPath: paths[name] })
  }
  return paths
}

/** From the bundle of what is flashed to the next one, as a publisher makes it; and with a byte that makes it useless. */
async function writeDeltaFixtures(
  tools: ToolTree,
  options: { readonly fromPath: string; readonly toPath: string; readonly workDir: string },
): Promise<Record<DeltaName, string>> {
  const { fromPath, toPath, workDir } = options
  const paths = Object.fromEntries(
    deltaNames.map((name) => [name, join(workDir, `${name}.delta`)]),
  ) as Record<DeltaName, string>
  for (const path of Object.values(paths)) await rm(path, { force: true })
  const { manifest } = await inspectBundle(tools, await readBundle(toPath))
  const [from, to] = [await readPlainBundle(fromPath), await readPlainBundle(toPath)]
  await writeDelta({ from, to, verity: manifest.verity }, paths['next-delta'])
  const bytes = await readFile(paths['next-delta'])
  // The magic number of the first patch: it is noticed at once, and the story need not wait for the end.
  const patchAt = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))
  bytes[patchAt] = bytes[patchAt]! ^ 1
  await writeFile(paths['next-delta-spoiled'], bytes)
  return paths
}

const dayMs = 86_400_000

async function writeChannelFixture(
  context: CommandContext,
  tools: ToolTree,
  options: {
    readonly name: ChannelName
    /** What devices run. */
    readonly from: string
    readonly paths: Partial<Record<FixtureName, string>>
    readonly outPath: string
  },
): Promise<void> {
  const { from, paths, outPath } = options
  const fixture = channelFixtures[options.name]
  const past = Date.UTC(2020, 0, 1)
  const bundle = { path: feedBundlePath, ...(await hashFile(paths.next!)) }
  const deltas =
    fixture.delta === undefined
      ? []
      : [{ from, path: feedDeltaPath, ...(await hashFile(paths[fixture.delta]!)) }]
  await writeChannelFile(tools, {
    channel: {
      ...{ board: 'rock64', channel: defaultChannelName, sequence: fixture.sequence },
      publishedMs: past,
      // A machine that goes on from a saved state may be days behind.
      expiresMs: fixture.expired ? past + dayMs : Math.floor(Date.now() / 1000) * 1000 + 2 * dayMs,
      release: { version: bundleFixtures.next.version, bundle, deltas, floor: undefined },
      stones: [],
      steps: [{ atMs: past, percent: fixture.percent }],
      windows: [],
      canaries: fixture.canaries ?? [],
      halt: fixture.halted === undefined ? undefined : { reason: fixture.halted, sinceMs: past },
    },
    signer: await fixtureSigner(context, tools, fixture.signer),
    outPath,
  })
}

interface Images {
  readonly bootSlotPath: string
  readonly rootfsPath: string
}

async function fixtureImages(
  { spoil }: BundleFixture,
  from: { readonly parts: BoardParts; readonly product: BoardParts; readonly steps: StepRunner },
): Promise<Images> {
  if (spoil === 'tiny') {
    const path = await tinyImage(from.steps)
    return { bootSlotPath: path, rootfsPath: path }
  }
  const bootSlotPath = (await from.parts.bootSlot()).path
  const rootfsPath = (await from.parts.squashfs()).path
  // The boot script of one release with the root of another: no root hash fits.
  if (spoil === 'other-rootfs') return { bootSlotPath, rootfsPath: (await from.product.squashfs()).path }
  if (spoil === 'damaged-rootfs') {
    return { bootSlotPath, rootfsPath: await damagedImage(rootfsPath, from.steps) }
  }
  return { bootSlotPath, rootfsPath }
}

/** What the product's code never makes: no signature, or RAUC's old format. */
async function respoil(
  tools: ToolTree,
  fixture: BundleFixture,
  given: {
    readonly path: string
    readonly images: Images
    readonly signer: Signer
    readonly outPath: string
  },
): Promise<string> {
  const { path, images, signer, outPath } = given
  if (fixture.signer === 'nobody') {
    await rm(outPath, { force: true })
    const { payloadBytes } = await readBundle(path)
    await copyFile(path, outPath)
    const file = await open(outPath, 'r+')
    await file.truncate(payloadBytes)
    await file.close()
    await writeBundle({ payloadPath: outPath, signature: randomBytes(2000), outPath: `${outPath}.signed` })
    return `${outPath}.signed`
  }
  if (fixture.format === 'plain') {
    await rm(outPath, { force: true })
    const { manifest } = await inspectBundle(tools, await readBundle(path))
    await writePlainBundle(tools, {
      manifest,
      images: await payloadImages([
        { slotClass: 'boot', filename: 'boot.vfat', path: images.bootSlotPath },
        { slotClass: 'rootfs', filename: 'rootfs.squashfs', path: images.rootfsPath },
      ]),
      signer,
      outPath,
    })
    return outPath
  }
  return path
}

async function fixtureSigner(
  context: CommandContext,
  tools: ToolTree,
  kind: BundleFixture['signer'],
): Promise<Signer> {
  const development = await openDevelopmentKeys(context, tools)
  if (kind === undefined || kind === 'nobody') return development.signer
  if (kind === 'revoked') return development.revokedSigner
  const id = development.authority.certificate.serialNumber.toLowerCase().slice(0, 16)
  const keysDir = join(context.workspace.cacheDir, 'keys', `stories-${id}`)
  const dir = join(keysDir, kind)
  if (existsSync(dir)) return signerAt(dir)
  await mkdir(keysDir, { recursive: true })
  const validity = {
    fromSeconds: Date.UTC(2020, 0, 2) / 1000,
    untilSeconds: (kind === 'expired' ? Date.UTC(2021, 0, 1) : Date.UTC(2049, 0, 1)) / 1000,
  }
  const subject = { organization: 'AtomixOS', name: `story signer ${kind}` }
  const authority =
    kind === 'other-authority'
      ? await createAuthority(tools, {
          dir: join(keysDir, 'authority'),
          subject: { organization: 'AtomixOS', name: 'some other authority' },
          validity,
        })
      : development.authority
  return issueSigner(tools, {
    dir,
    subject,
    validity,
    issuer: { authority },
    ...(kind === 'not-for-code' && { purpose: 'clientAuth' }),
  })
}
