import { composeInitrd } from '@atomixos/image/build/compose-board.ts'
import { boardDriverProblems } from '@atomixos/image/kernel/board-drivers.ts'
import { deviceTree, kernelFiles } from '@atomixos/image/kernel/kernel-files.ts'
import { kernelProblems } from '@atomixos/image/kernel/kernel-problems.ts'
import { selectKernelModules } from '@atomixos/image/kernel/select-modules.ts'
import { openTestInputs, type TestInputs } from '@atomixos/image/kernel/test-inputs.ts'
import { ContentReader } from '@atomixos/image/tree/read-content.ts'
import { contentSize, type Tree } from '@atomixos/image/tree/tree.ts'
import { type DeviceTreeNode, parseDeviceTree } from '@atomixos/image/uboot/device-tree.ts'
import { parseConfig } from '@atomixos/image/uboot/kernel-config.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { rock64 } from '../boards/rock64.ts'
import { rock64Drivers } from './rock64-drivers.ts'

function rootModules(given: TestInputs): Promise<Tree> {
  const wanted = rock64.rootfs.modules.flatMap((module) => [
    ...(module.kernelModules ?? []),
    ...(module.loadKernelModules ?? []),
  ])
  return selectKernelModules({ kernel: given.kernel, wanted }, given)
}

describe('the initrd', () => {
  let given: TestInputs
  let tree: Tree
  let problems: readonly unknown[]
  beforeAll(async () => {
    given = await openTestInputs()
    const context = { ...given, rootDir: '/', deviceEntryPath: '/', facts: {} }
    const composed = await composeInitrd(rock64, context)
    tree = composed.tree
    problems = composed.problems
  })
  afterAll(() => given[Symbol.asyncDispose]())

  test('is whole: libraries, programs, units', () => {
    expect(problems).toEqual([])
  })

  test('is lean', () => {
    const bytes = [...tree.values()].reduce(
      (sum, node) => sum + (node.type === 'file' ? contentSize(node.content) : 0),
      0,
    )
    expect(bytes).toBeLessThan(32_000_000)
  })

  test('has scripts that dash can read', async () => {
    const scripts = [...tree].filter(([path]) => path.startsWith('/usr/lib/atomixos/'))
    expect(scripts.map(([path]) => path)).toHaveLength(4)
    for (const [path, node] of scripts) {
      if (node.type !== 'file' || node.content.kind !== 'bytes') throw new Error(path)
      const stdin = node.content.bytes
      await given.tools.run({
        argv: ['/usr/bin/dash', '-n'],
        purpose: path,
        mounts: [],
        stdin,
        timeoutMs: 10_000,
      })
    }
  })

  test('asks nobody for a password and offers no shell', () => {
    const names = [...tree.keys()]
    const words = /sulogin|debug|rescue|getty|login|ask-password/
    expect(names.filter((name) => words.test(name))).toEqual([])
  })

  test('carries the kernel that boots, and with the root file system every driver of the Rock64', async () => {
    const rootfs = await rootModules(given)
    expect(await kernelProblems({ board: rock64, kernel: given.kernel, initrd: tree, rootfs })).toEqual([])
  })

  test('modules of another kernel are noticed', async () => {
    const rootfs = new Map(
      [...(await rootModules(given))].map(([path, node]) => [path.replace('6.', '5.'), node]),
    )
    const [problem] = await kernelProblems({ board: rock64, kernel: given.kernel, initrd: tree, rootfs })
    expect(problem?.message).toMatch(/^has kernel modules for 5\..*, but 6\..* is what boots$/)
  })

  describe('drivers of the Rock64', () => {
    let board: {
      deviceTree: DeviceTreeNode
      kernelConfig: Map<string, string | undefined>
      initrdAliases: string
      rootAliases: string
    }
    beforeAll(async () => {
      await using reader = new ContentReader()
      const text = (node: { content: Parameters<ContentReader['read']>[0] }) => reader.readText(node.content)
      const aliases = async (modules: Tree) => {
        const node = modules.get([...modules.keys()].find((path) => path.endsWith('/modules.alias'))!)
        return node?.type === 'file' ? text(node) : ''
      }
      board = {
        deviceTree: parseDeviceTree(
          await reader.read(deviceTree(given.kernel, rock64.deviceTrees[0]!).content),
        ).root,
        kernelConfig: parseConfig(await text(kernelFiles(given.kernel).config)),
        initrdAliases: await aliases(tree),
        rootAliases: await aliases(await rootModules(given)),
      }
    })
    const check = (changes: Partial<typeof board> = {}) =>
      boardDriverProblems({ ...board, needs: rock64Drivers, ...changes })
    const without = (module: string) =>
      board.initrdAliases
        .split('\n')
        .filter((line) => !line.endsWith(` ${module}`))
        .join('\n')

    test('are all there', () => {
      expect(check()).toEqual([])
    })

    test('an initrd without the bus of the power chip cannot reach the disk', () => {
      expect(check({ initrdAliases: without('i2c_rk3x') })).toEqual([
        {
          where: 'device tree /i2c@ff160000',
          message:
            'rockchip,rk3328-i2c, rockchip,rk3399-i2c: the root needs /syscon@ff100000/io-domains, which depends on it, and the initrd has no driver for it',
        },
      ])
    })

    test('an Ethernet without a driver is noticed', () => {
      const rootAliases = board.rootAliases
        .split('\n')
        .filter((line) => !line.endsWith(' dwmac_rk'))
        .join('\n')
      expect(check({ rootAliases }).map(({ where }) => where)).toEqual(['device tree /ethernet@ff540000'])
    })

    test('a kernel that is built another way is noticed', () => {
      const kernelConfig = new Map([...board.kernelConfig, ['CONFIG_PINCTRL_ROCKCHIP', 'm'] as const])
      expect(check({ kernelConfig }).map(({ where }) => where)).toContain('kernel CONFIG_PINCTRL_ROCKCHIP')
    })

    test('an empty device tree is not a healthy one', () => {
      const empty = { name: '', properties: new Map(), children: new Map() }
      expect(check({ deviceTree: empty }).map(({ message }) => message)).toContain(
        'has no enabled rockchip,rk3328-gmac',
      )
    })
  })
})
