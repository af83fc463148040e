import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { writeTar } from '../archive/write-tar.ts'
import { UserError } from '../errors.ts'
import { codeIdentity } from '../step/code-identity.ts'
import type { StepRunner } from '../step/step.ts'
import { fileNodeOf } from '../tree/file-node.ts'
import { treeIdentity } from '../tree/identity.ts'
import type { PackageTree } from '../tree/merge-packages.ts'
import { contentSha256 } from '../tree/read-content.ts'
import type { FileNode, Tree, TreeNode } from '../tree/tree.ts'
import { type ContainerImage, imageUser } from './images.ts'

/** Debian's name, and what images call it. */
export const imageArchitecture = 'arm64'

/**
 * An image with one layer as an archive that `podman load` takes (docker-archive). The archive itself is not compressed,
 * so that podman reads it where it lies; the layer in it is. Same packages, same bytes. Gives the path.
 */
export async function buildContainerImage(
  options: {
    readonly image: ContainerImage
    readonly packages: readonly PackageTree[]
    readonly sourceDateEpoch: number
  },
  { steps }: { readonly steps: StepRunner },
): Promise<string> {
  const { image, packages, sourceDateEpoch } = options
  const tree = imageTree(image, packages)
  const result = await steps.run({
    name: `container image ${image.reference}`,
    code: codeIdentity(import.meta.url),
    // The compressor is part of Node: another version may give other bytes.
    inputs: { tree: treeIdentity(tree), image, sourceDateEpoch, zstd: process.versions['zstd'] },
    async run({ outDir, workDir, signal }) {
      const layerPath = join(workDir, 'layer.tar.zst')
      const diffId = createHash('sha256')
      const hashed = async function* () {
        for await (const chunk of writeTar(tree, { mtime: sourceDateEpoch })) {
          diffId.update(chunk)
          yield chunk
        }
      }
      const compressor = createZstdCompress({
        params: { [constants.ZSTD_c_compressionLevel]: 12, [constants.ZSTD_c_checksumFlag]: 1 },
      })
      await pipeline(Readable.from(hashed()), compressor, createWriteStream(layerPath, { flags: 'wx' }), {
        signal,
      })
      const config = Buffer.from(
        `${JSON.stringify(imageConfig(image, { diffId: diffId.digest('hex'), sourceDateEpoch }))}\n`,
      )
      const archive = archiveTree({
        reference: image.reference,
        config,
        layer: await fileNodeOf(layerPath, { mode: 0o644, origin: image.reference }),
      })
      const target = createWriteStream(join(outDir, 'image.tar'), { flags: 'wx' })
      await pipeline(Readable.from(writeTar(archive, { mtime: sourceDateEpoch })), target, { signal })
    },
  })
  return join(result.dir, 'image.tar')
}

/** What a container of the image sees. Throws UserError when no package has what it is made of. Pure. */
export function imageTree(image: ContainerImage, packages: readonly PackageTree[]): Tree {
  const { name, id, home } = imageUser
  const owned = { uid: 0, gid: 0, origin: image.reference }
  const own = { uid: id, gid: id, origin: image.reference }
  const text = (body: string): TreeNode => ({
    ...owned,
    type: 'file',
    mode: 0o644,
    content: { kind: 'bytes', bytes: Buffer.from(body) },
  })
  const link = (target: string): TreeNode => ({ ...owned, type: 'symlink', mode: 0o777, target })
  const nodes = new Map<string, TreeNode>([
    ['/bin', link('usr/bin')],
    ['/lib', link('usr/lib')],
    ['/etc/passwd', text(`root:x:0:0:root:/:/bin/false\n${name}:x:${id}:${id}::${home}:/bin/false\n`)],
    ['/etc/group', text(`root:x:0:\n${name}:x:${id}:\n`)],
    ['/tmp', { ...owned, type: 'directory', mode: 0o1777 }],
  ])
  for (const path of [home, ...(image.folders ?? [])])
    nodes.set(path, { ...own, type: 'directory', mode: 0o700 })
  for (const path of image.files) place(nodes, path, image, packages)
  for (const [path, target] of Object.entries(image.links ?? {})) nodes.set(path, link(target))
  // Where a container of a read-only image has something mounted.
  for (const path of ['/dev', '/proc', '/run', '/sys', '/var/tmp']) addFolders(nodes, path, owned)
  for (const path of [...nodes.keys()]) addFolders(nodes, path.slice(0, path.lastIndexOf('/')), owned)
  return nodes
}

function place(
  nodes: Map<string, TreeNode>,
  path: string,
  image: ContainerImage,
  packages: readonly PackageTree[],
): void {
  const node = packages.find(({ tree }) => tree.has(path))?.tree.get(path)
  if (node === undefined) {
    throw new UserError(`the image ${image.reference} takes ${path}, which no package of its target has`, {
      hint: 'correct packages/image/src/container-image/images.ts',
      exitCode: 2,
    })
  }
  nodes.set(path, node)
  if (node.type !== 'symlink') return
  const target = new URL(node.target, `file://${path}`).pathname
  if (!nodes.has(target)) place(nodes, target, image, packages)
}

function addFolders(
  nodes: Map<string, TreeNode>,
  path: string,
  owned: Pick<TreeNode, 'uid' | 'gid' | 'origin'>,
): void {
  for (let at = path; at !== '' && !nodes.has(at); at = at.slice(0, at.lastIndexOf('/'))) {
    nodes.set(at, { ...owned, type: 'directory', mode: 0o755 })
  }
}

/** As in the OCI image specification 1.1, which docker-archive shares. */
function imageConfig(
  image: ContainerImage,
  given: { readonly diffId: string; readonly sourceDateEpoch: number },
): unknown {
  const created = new Date(given.sourceDateEpoch * 1000).toISOString()
  const env = { PATH: '/usr/bin', HOME: imageUser.home, ...image.env }
  return {
    created,
    architecture: imageArchitecture,
    os: 'linux',
    config: {
      User: `${imageUser.id}:${imageUser.id}`,
      Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
      Cmd: image.command,
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: [`sha256:${given.diffId}`] },
    history: [{ created, created_by: "packages of Debian's" }],
  }
}

/** As `docker save` writes it; see containers/image, docs/containers-transports.5.md. */
function archiveTree(given: {
  readonly reference: string
  readonly config: Uint8Array
  readonly layer: FileNode
}): Tree {
  const { reference, config, layer } = given
  const configName = `${createHash('sha256').update(config).digest('hex')}.json`
  const layerName = `${contentSha256(layer.content)}.tar`
  const manifest = [{ Config: configName, RepoTags: [reference], Layers: [layerName] }]
  const text = (bytes: Uint8Array): TreeNode => ({
    ...{ type: 'file', mode: 0o644, uid: 0, gid: 0, origin: reference },
    content: { kind: 'bytes', bytes },
  })
  return new Map<string, TreeNode>([
    ['/manifest.json', text(Buffer.from(`${JSON.stringify(manifest)}\n`))],
    [`/${configName}`, text(config)],
    [`/${layerName}`, layer],
  ])
}
