import { Random } from '@atomixos/config/network/test-random.ts'
import { parseConfig, renderConfig } from '@atomixos/config/operator/index.ts'
import { leastToml, randomConfig } from '@atomixos/config/operator/test-configs.ts'
import { expect, test } from 'vitest'
import { parseRequiredContainers } from '../health/parse-facts.ts'
import { parseUpgradeSettings } from '../upgrade/settings.ts'
import { parseQuadletRuntime } from './quadlets.ts'

/** What is rendered of a configuration is what the device's programs read. */

test('the least configuration: no server, one container', () => {
  const files = renderConfig(parseConfig(leastToml).config!)
  expect(files.has('os-upgrade.json')).toBe(false)
  const runtime = files.get('quadlet-runtime.json')!.content
  expect(parseQuadletRuntime(runtime)).toEqual([
    { unit: 'web.container', service: 'web.service', mode: 'rootless' },
  ])
  expect(parseRequiredContainers(files.get('health-required.json')!.content, runtime)).toEqual([
    { name: 'web', unit: 'web.service', mode: 'rootless' },
  ])
})

test.each([1, 2, 3])('random configurations are read whole (seed %i)', (seed) => {
  const random = new Random(seed)
  for (let count = 0; count < 300; count += 1) {
    const config = randomConfig(random)
    const files = renderConfig(config)
    const text = (path: string) => files.get(path)?.content
    const runtime = parseQuadletRuntime(text('quadlet-runtime.json')!)
    for (const { unit } of runtime) expect(files.has(`quadlet/${unit}`)).toBe(true)
    const units = new Set(runtime.map(({ unit }) => `quadlet/${unit}`))
    expect([...files.keys()].filter((path) => path.startsWith('quadlet/')).sort()).toEqual([...units].sort())
    const required = parseRequiredContainers(text('health-required.json'), text('quadlet-runtime.json'))
    expect(required.map(({ name }) => name)).toEqual(config.activation.required)
    for (const { name, unit } of required) expect(unit).toBe(`${name}.service`)
    const server = text('os-upgrade.json')
    if (server !== undefined)
      expect(parseUpgradeSettings(server).serverUrl).toBe(config.os_upgrade!.server_url)
    else expect(config.os_upgrade).toBeUndefined()
  }
})
