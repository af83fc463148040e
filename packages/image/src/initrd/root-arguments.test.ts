import { describe, expect, test } from 'vitest'
import { rootArguments, rootUuidPlaceholder } from './root-arguments.ts'

describe('rootArguments', () => {
  test('the placeholder is what U-Boot replaces', () => {
    expect(rootUuidPlaceholder).toBe('$'.concat('{root_uuid}'))
  })

  test('of a verified root', () => {
    const roothash = 'c3'.repeat(32)
    expect(rootArguments({ roothash, hashOffsetBytes: 22786048 })).toEqual([
      `roothash=${roothash}`,
      `systemd.verity_root_data=PARTUUID=${rootUuidPlaceholder}`,
      `systemd.verity_root_hash=PARTUUID=${rootUuidPlaceholder}`,
      'systemd.verity_root_options=hash-offset=22786048,panic-on-corruption',
      'rootfstype=squashfs',
      'ro',
      'systemd.volatile=overlay',
    ])
  })

  test('of a root without verification', () => {
    expect(rootArguments()).toEqual([
      `root=PARTUUID=${rootUuidPlaceholder}`,
      'rootfstype=squashfs',
      'ro',
      'systemd.volatile=overlay',
    ])
  })

  test('refuses what dm-verity would', () => {
    expect(() => rootArguments({ roothash: 'C3'.repeat(32), hashOffsetBytes: 0 })).toThrow('not a SHA-256')
    expect(() => rootArguments({ roothash: 'c3'.repeat(32), hashOffsetBytes: 100 })).toThrow('hash offset')
  })
})
