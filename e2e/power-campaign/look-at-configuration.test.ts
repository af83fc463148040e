import { describe, expect, test } from 'vitest'
import { isOfInterest, lookAtConfiguration } from './look-at-configuration.ts'

type Folders = Readonly<Record<string, Readonly<Record<string, string>>>>

const old = { 'config.toml': 'a', 'ssh-authorized-keys/alice': 'b' }
const fresh = { 'config.toml': 'c', 'ssh-authorized-keys/bob': 'd', 'files/x': 'e' }
const known = { sets: { old: { files: old }, fresh: { files: fresh } }, machineId: 'feed' }

/** Folders of /data with the hashes of their files. */
function look(folders: Folders, { machineId = 'feed', reset = false } = {}) {
  const paths = Object.entries(folders).flatMap(([folder, files]) =>
    Object.entries(files).map(
      ([path, sha256]) => [`${folder}/${path}`, { sha256, text: undefined }] as const,
    ),
  )
  const files = new Map<string, { sha256: string; text: string | undefined }>([
    ...paths,
    ['identity/machine-id', { sha256: 'm', text: `${machineId}\n` }],
    ...(reset ? [['identity/factory-reset', { sha256: 'r', text: '' }] as const] : []),
  ])
  const tree = new Map([...Object.keys(folders), ...files.keys()].map((path, index) => [path, index + 4]))
  expect([...files.keys()].filter((path) => !isOfInterest(path))).toEqual([])
  return lookAtConfiguration(tree, files, known)
}

describe('the configuration that the next start takes', () => {
  test.each<[string, Folders, string]>([
    ['the active one', { config: old }, 'old'],
    ['a candidate is not it', { config: old, 'config-candidate': { 'config.toml': 'c' } }, 'old'],
    ['between the two renamings', { 'config-rollback': old, 'config-candidate': fresh }, 'old'],
    ['promoted, and not proved', { 'config-rollback': old, config: fresh }, 'old'],
    ['kept, and the one before half thrown away', { config: fresh, 'config-dropped': {} }, 'fresh'],
    ['taken back, half thrown away', { config: old, 'config-dropped': { 'config.toml': 'c' } }, 'old'],
  ])('%s', (_, folders, name) => {
    expect(look(folders)).toEqual({ name, detail: name, afterStart: name })
  })

  test.each<[string, Folders, string]>([
    ['one file of the other', { config: { ...fresh, 'config.toml': 'a' } }, 'fresh but for config.toml'],
    ['one that is missing', { config: { 'config.toml': 'a' } }, 'old but for ssh-authorized-keys/alice'],
    ['one too many', { config: { ...old, 'files/x': 'e' } }, 'old but for files/x'],
    ['none at all', {}, 'old but for config.toml, ssh-authorized-keys/alice'],
    [
      'a way back that is not whole',
      { 'config-rollback': { 'config.toml': 'a' }, config: fresh },
      'old but for ssh-authorized-keys/alice',
    ],
  ])('a mixture is none: %s', (_, folders, detail) => {
    expect(look(folders)).toEqual({ name: undefined, detail, afterStart: undefined })
  })

  test('with the order of a reset it is there, and gone after the next start', () => {
    expect(look({ config: old }, { reset: true })).toMatchObject({ name: 'old', afterStart: 'none' })
  })

  test('a new /data has none, and nothing of the one before', () => {
    expect(look({ config: {} }, { machineId: 'beef' }).name).toBe('none')
    expect(look({}, { machineId: '' }).name).toBe('none')
    expect(look({ config: old }, { machineId: 'beef' })).toMatchObject({
      name: undefined,
      detail: expect.stringContaining('a new /data that holds config/config.toml'),
    })
    expect(look({}, { machineId: 'beef', reset: true }).name).toBeUndefined()
  })
})
