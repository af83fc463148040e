import type { Accounts } from '../definition/evaluate-accounts.ts'
import type { TreeNode } from './tree.ts'

/** Every account is locked: there is no password in an image (and none in the operator contract). */
const locked = '!*'

/** /etc/passwd, group, shadow, gshadow, and subuid and subgid where a user has subordinate ids. */
export function accountFiles({ users, groups }: Accounts): ReadonlyMap<string, TreeNode> {
  const byUid = [...users].sort(([, a], [, b]) => a.uid - b.uid)
  const byGid = [...groups].sort(([, a], [, b]) => a.gid - b.gid)
  const subordinates = byUid.flatMap(([name, { subordinateIds }]) =>
    subordinateIds === undefined ? [] : [`${name}:${subordinateIds}:65536`],
  )
  const shadowGid = groups.get('shadow')?.gid ?? 0
  const file = (lines: readonly string[], mode = 0o644, gid = 0): TreeNode => ({
    type: 'file',
    mode,
    uid: 0,
    gid,
    origin: 'accounts',
    content: { kind: 'bytes', bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')) },
  })
  return new Map<string, TreeNode>([
    [
      '/etc/passwd',
      file(byUid.map(([name, u]) => `${name}:x:${u.uid}:${u.gid}:${u.description}:${u.home}:${u.shell}`)),
    ],
    ['/etc/group', file(byGid.map(([name, group]) => `${name}:x:${group.gid}:${group.members.join(',')}`))],
    // No date of the last change: it would be a time, and it would switch on password ageing.
    [
      '/etc/shadow',
      file(
        byUid.map(([name]) => `${name}:${locked}:::::::`),
        0o640,
        shadowGid,
      ),
    ],
    [
      '/etc/gshadow',
      file(
        byGid.map(([name, group]) => `${name}:!*::${group.members.join(',')}`),
        0o640,
        shadowGid,
      ),
    ],
    ...(subordinates.length === 0
      ? []
      : [['/etc/subuid', file(subordinates)] as const, ['/etc/subgid', file(subordinates)] as const]),
  ])
}
