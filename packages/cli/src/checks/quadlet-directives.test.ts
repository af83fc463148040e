import { gunzipSync } from 'node:zlib'
import { reservedAccounts } from '@atomixos/config/operator/accounts.ts'
import { directives, type Section } from '@atomixos/config/operator/quadlet/directives.ts'
import { isReservedService } from '@atomixos/config/operator/quadlet/reserved-services.ts'
import { evaluate } from '@atomixos/image/definition/index.ts'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import { ContentReader } from '@atomixos/image/tree/read-content.ts'
import { boards } from '@atomixos/system'
import { beforeAll, describe, expect, test } from 'vitest'

/** What the configuration knows of the image, against the locked packages and the modules themselves. */

let trees: Awaited<ReturnType<Awaited<ReturnType<typeof openTestInputs>>['packageTrees']>>
beforeAll(async () => {
  trees = await (await openTestInputs()).packageTrees('rootfs')
})

async function contentOf(packageName: string, path: string): Promise<Uint8Array> {
  const node = trees.find(({ name }) => name === packageName)?.tree.get(path)
  if (node?.type !== 'file') throw new Error(`${packageName} has no file ${path}`)
  await using reader = new ContentReader()
  return await reader.read(node.content)
}

/** Taken by Quadlet's program, and not in its manual: names before 4.6 had others, and the names of services. */
const undocumented: Readonly<Record<Section, readonly string[]>> = {
  Container: ['RemapGid', 'RemapUid', 'RemapUidSize', 'RemapUsers', 'ServiceName', 'VolatileTmp'],
  Network: ['ServiceName'],
  Volume: ['ServiceName'],
  Build: ['ServiceName'],
}

describe('directives of Quadlet', () => {
  test.each(Object.keys(undocumented) as Section[])(
    '[%s]: every one that the locked podman knows has a verdict',
    async (section) => {
      const manual = gunzipSync(
        await contentOf('podman', '/usr/share/man/man5/podman-systemd.unit.5.gz'),
      ).toString()
      const start = manual.indexOf(`.SH ${section} units`)
      expect(start).toBeGreaterThan(0)
      const end = manual.indexOf('\n.SH ', start)
      const known = [...manual.slice(start, end).matchAll(/^\.SS \\fB(\w+)=/gm)].map(([, name]) => name!)
      expect(known.length).toBeGreaterThan(10)
      expect(Object.keys(directives[section]).sort()).toEqual([...known, ...undocumented[section]].sort())
    },
  )

  test('those that the manual does not have are in the program', async () => {
    const program = Buffer.from(await contentOf('podman', '/usr/libexec/podman/quadlet')).toString('latin1')
    for (const name of Object.values(undocumented).flat()) expect(program).toContain(name)
  })
})

describe('names that are reserved', () => {
  const { users, groups, claims } = evaluate(Object.values(boards)[0]!.rootfs).evaluated!

  test('every account and group of the image', () => {
    const free = [...users.keys(), ...groups.keys()].filter((name) => !reservedAccounts.has(name))
    expect(free).toEqual([])
  })

  test('every service of its packages and modules, but for templates', () => {
    const paths = [...trees.flatMap(({ tree }) => [...tree.keys()]), ...claims.keys()]
    const services = paths.flatMap(
      (path) => /\/systemd\/(?:system|user)\/([^/@]+\.service)$/.exec(path)?.[1] ?? [],
    )
    expect(services.length).toBeGreaterThan(100)
    expect([...new Set(services)].filter((name) => !isReservedService(name))).toEqual([])
  })
})
