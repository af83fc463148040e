import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { treeIdentity } from './identity.ts'
import type { Tree, TreeNode } from './tree.ts'

const owner = { uid: 0, gid: 0, origin: 'module a' }
const bytes = Buffer.from('text')
const file: TreeNode = { type: 'file', mode: 0o644, ...owner, content: { kind: 'bytes', bytes } }
const tree = (nodes: Record<string, TreeNode>): Tree =>
  new Map(Object.entries({ '/': { type: 'directory', mode: 0o755, ...owner }, ...nodes }))
const original = treeIdentity(tree({ '/a': file, '/b': file }))

test('neither order, place of contents, nor origin change it', () => {
  const stored: TreeNode = {
    ...file,
    origin: 'package b',
    content: {
      kind: 'range',
      path: '/anywhere',
      offsetBytes: 5,
      sizeBytes: 4,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
  }
  expect(treeIdentity(new Map([...tree({ '/a': stored, '/b': file })].reverse()))).toBe(original)
})

test.each<[string, Record<string, TreeNode>]>([
  ['a mode', { '/a': { ...file, mode: 0o600 }, '/b': file }],
  ['an owner', { '/a': { ...file, uid: 1 }, '/b': file }],
  ['a group', { '/a': { ...file, gid: 1 }, '/b': file }],
  ['a content', { '/a': { ...file, content: { kind: 'bytes', bytes: Buffer.from('Text') } }, '/b': file }],
  ['an extended attribute', { '/a': { ...file, xattrs: { 'user.a': Buffer.from('1') } }, '/b': file }],
  ['a name', { '/a': file, '/c': file }],
  ['a type', { '/a': { type: 'fifo', mode: 0o644, ...owner }, '/b': file }],
  ['a target', { '/a': { type: 'symlink', mode: 0o644, target: 'b', ...owner }, '/b': file }],
  ['a device', { '/a': { type: 'char', mode: 0o644, major: 1, minor: 2, ...owner }, '/b': file }],
])('%s changes it', (_, nodes) => {
  expect(treeIdentity(tree(nodes))).not.toBe(original)
})
