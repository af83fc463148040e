import type { Tree, TreeNode } from '../tree/tree.ts'

const origin = 'tools'
const link = (target: string): TreeNode => ({ type: 'symlink', mode: 0o777, uid: 0, gid: 0, origin, target })
const directory: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, origin }
const file = (text: string): TreeNode => ({
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  origin,
  content: { kind: 'bytes', bytes: Buffer.from(text) },
})

/** What installing would have linked: path to the candidates, the first one that is there wins. */
const links: Readonly<Record<string, readonly string[]>> = {
  '/bin': ['/usr/bin'],
  '/sbin': ['/usr/sbin'],
  '/lib': ['/usr/lib'],
  '/lib64': ['/usr/lib64'],
  '/usr/bin/sh': ['/usr/bin/dash', '/usr/bin/bash'],
  '/usr/bin/awk': ['/usr/bin/mawk', '/usr/bin/gawk'],
  '/usr/bin/cc': ['/usr/bin/gcc'],
  '/usr/bin/nc': ['/usr/bin/nc.openbsd', '/usr/bin/ncat'],
  '/usr/bin/pkg-config': ['/usr/bin/pkgconf'],
}

/** Which paths a program expects although no package ships them. */
const files: Readonly<Record<string, string>> = {
  '/etc/passwd':
    'root:x:0:0:root:/tmp:/usr/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  '/etc/group': 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
}

/** All packages in one tree. Where two ship the same path the later one wins, as it does when they are installed. */
export function mergeToolPackages(trees: readonly Tree[]): Tree {
  const merged = new Map<string, TreeNode>()
  for (const tree of trees) {
    for (const [path, node] of tree) {
      // Documentation only costs time to write.
      if (/^\/usr\/share\/(?:doc|man|info|locale|lintian|bug)\//.test(path)) continue
      merged.set(path, node)
    }
  }
  return merged
}

/** Adds what maintainer scripts make where it matters to programs: links, alternatives, accounts. */
export function addMissingLinks(tree: Tree): Tree {
  const complete = new Map(tree)
  for (const [path, candidates] of Object.entries(links)) {
    const target = candidates.find((candidate) => complete.has(candidate))
    if (target !== undefined && !complete.has(path)) complete.set(path, link(relative(path, target)))
  }
  for (const [path, text] of Object.entries(files)) {
    if (!complete.has(path)) complete.set(path, file(text))
  }
  for (const path of ['/etc', '/usr']) if (!complete.has(path)) complete.set(path, directory)
  return complete
}

function relative(path: string, target: string): string {
  const depth = path.split('/').length - 2
  return depth === 0 ? target.slice(1) : target.slice(target.lastIndexOf('/') + 1)
}
