import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ContentReader, contentSha256 } from '../tree/read-content.ts'
import type { Tree } from '../tree/tree.ts'
import { parseModuleInfo } from './modinfo.ts'
import { nearMisses } from './module-names.ts'
import { selectKernelModules } from './select-modules.ts'
import { openTestInputs, type TestInputs } from './test-inputs.ts'

describe('selectKernelModules', () => {
  let given: TestInputs
  let selected: Tree
  const wanted = ['f2fs', 'dm_verity', 'virtio_pci', 'r8152', 'i2c-rk3x']
  beforeAll(async () => {
    given = await openTestInputs()
    selected = await selectKernelModules({ kernel: given.kernel, wanted }, given)
  })
  afterAll(() => given[Symbol.asyncDispose]())

  const names = (tree: Tree) =>
    [...tree.keys()]
      .filter((path) => path.endsWith('.ko'))
      .map((path) => path.slice(path.lastIndexOf('/') + 1, -3))

  test('takes what is wanted and what that depends on, and nothing else', () => {
    expect(names(selected)).toEqual(
      expect.arrayContaining([
        'f2fs',
        'lz4hc_compress',
        'dm-verity',
        'dm-mod',
        'dm-bufio',
        'r8152',
        'mii',
        'i2c-rk3x',
      ]),
    )
    // Built in: fine to ask for, nothing to bring.
    expect(names(selected)).not.toContain('virtio_pci')
    expect(names(selected).length).toBeLessThan(20)
  })

  test('modules are plain ELF files with their signature', async () => {
    await using reader = new ContentReader()
    const path = [...selected.keys()].find((path) => path.endsWith('/f2fs.ko'))!
    const node = selected.get(path)
    if (node?.type !== 'file') throw new Error('no file')
    const bytes = await reader.read(node.content)
    expect(parseModuleInfo(bytes)).toMatchObject({
      name: 'f2fs',
      depends: ['lz4_compress', 'lz4hc_compress'],
    })
    expect(Buffer.from(bytes.subarray(-28)).toString()).toBe('~Module signature appended~\n')
  })

  test('the index files know the aliases and dependencies of what was selected', async () => {
    await using reader = new ContentReader()
    const read = async (name: string) => {
      const node = selected.get([...selected.keys()].find((path) => path.endsWith(`/${name}`))!)
      return node?.type === 'file' ? reader.readText(node.content) : ''
    }
    expect(await read('modules.alias')).toContain('alias fs-f2fs f2fs')
    expect(await read('modules.alias')).not.toContain('squashfs')
    expect(await read('modules.dep')).toMatch(/dm-verity\.ko: .*dm-bufio\.ko/)
    for (const name of ['dep', 'alias', 'symbols', 'builtin', 'builtin.alias'])
      expect([...selected.keys()].some((path) => path.endsWith(`/modules.${name}.bin`))).toBe(true)
  })

  test('made twice, it is the same', async () => {
    await using again = await openTestInputs()
    const other = await selectKernelModules({ kernel: given.kernel, wanted: [...wanted].reverse() }, again)
    const digest = (tree: Tree) =>
      [...tree].map(([path, node]) => [path, node.type === 'file' ? contentSha256(node.content) : node.type])
    expect(digest(other)).toEqual(digest(selected))
  })

  test('unknown names are all told at once, with what was perhaps meant', async () => {
    const asked = selectKernelModules(
      { kernel: given.kernel, wanted: ['dwmac_rockchip', 'f2fs', 'sqashfs'] },
      given,
    )
    await expect(asked).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(
        /has no such modules:\n {2}dwmac_rockchip.*\n {2}sqashfs \(did you mean squashfs/,
      ),
    })
  })
})

describe('nearMisses', () => {
  const known = ['dwmac_rk', 'dwmac_sun8i', 'squashfs', 'ax88179_178a', 'r8152']
  test.each([
    ['squashf', ['squashfs']],
    ['ax88179', ['ax88179_178a']],
    ['r8153', ['r8152']],
    ['something_else', []],
  ])('%s', (name, expected) => {
    expect(nearMisses(name, known)).toEqual(expected)
  })
})
