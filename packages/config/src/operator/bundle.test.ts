import { describe, expect, test } from 'vitest'
import { type BundleMember, bundleLimits, bundleProblems } from './bundle.ts'

const file = (path: string, sizeBytes = 1): BundleMember => ({ path, kind: 'file', sizeBytes })
const messages = (members: readonly BundleMember[]) => bundleProblems(members).map(({ message }) => message)

describe('what a bundle may hold', () => {
  test('all of this', () => {
    const folder: BundleMember = { path: 'files', kind: 'folder', sizeBytes: 0 }
    const members = [file('config.toml'), folder, file('files/Ünd, so "weiter" $x'), file('files/.hidden')]
    expect(bundleProblems([...members, file('files/full', bundleLimits.memberBytesMax)])).toEqual([])
  })

  test.each([
    [{ path: 'files/link', kind: 'other', sizeBytes: 0 } as const, 'it is a link, or no file at all'],
    [file('files/a\nb'), 'its name holds a backslash or a character that does not show'],
    [file('files/a\\b'), 'its name holds a backslash or a character that does not show'],
    [file(`files/${'ä'.repeat(128)}`), 'its name is longer than 255 bytes'],
    [file(`files/${'a/'.repeat(32)}b`), 'it is more than 32 folders deep'],
    [
      file(`files/${'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/'.repeat(23)}b`),
      'its path is longer than 1024 bytes',
    ],
    [file('files/big', bundleLimits.memberBytesMax + 1), 'it is 64.1 MiB, and 64 MiB are the most'],
  ])('not %j', (member, message) => {
    expect(bundleProblems([file('config.toml'), member])).toMatchObject([{ path: member.path, message }])
  })

  test('not too much of anything', () => {
    const many = Array.from({ length: 4096 }, (_, index) => file(`files/${index}`))
    expect(messages(many)).toEqual([])
    expect(messages([...many, file('config.toml')])).toEqual(['it has 4097 members, and 4096 are the most'])
    const large = Array.from({ length: 4 }, (_, index) => file(`files/${index}`, bundleLimits.memberBytesMax))
    expect(messages(large)).toEqual(['it unpacks to 256.1 MiB, and 256 MiB are the most'])
    expect(messages(large.slice(1))).toEqual([])
  })
})
