import { describe, expect, test } from 'vitest'
import { planQuadlets, type Quadlet } from './quadlet-plan.ts'

function quadlet(unit: string, text: string, mode: Quadlet['mode'] = 'rootless'): Quadlet {
  const dot = unit.lastIndexOf('.')
  const kind = unit.slice(dot + 1)
  const service = `${unit.slice(0, dot)}${kind === 'container' ? '' : `-${kind}`}.service`
  return { unit, service, mode, text }
}

const web = quadlet('web.container', '[Container]\nImage=web.build\nVolume=data.volume:/data\n')
const build = quadlet('web.build', '[Build]\nImageTag=localhost/web\nNetwork=inner.network\n')
const data = quadlet('data.volume', '[Volume]\n')
const inner = quadlet('inner.network', '[Network]\n')
const other = quadlet('other.container', '[Container]\nImage=localhost/other:1\n')
const all = [web, build, data, inner, other]

const stopped = (active: readonly Quadlet[], wanted: readonly Quadlet[]) =>
  planQuadlets(active, wanted)
    .stop.map(({ service }) => service)
    .sort()

describe('the plan', () => {
  test('nothing active: nothing to stop', () => {
    expect(planQuadlets([], all)).toEqual({ stop: [], removeNetworks: [], differs: true })
  })

  test('the same again: everything runs on', () => {
    expect(planQuadlets(all, all)).toEqual({ stop: [], removeNetworks: [], differs: false })
  })

  test('what changed is stopped, with all that uses it, however far', () => {
    const changed = all.map((entry) =>
      entry === inner ? { ...inner, text: '[Network]\nInternal=true\n' } : entry,
    )
    expect(stopped(all, changed)).toEqual(['inner-network.service', 'web-build.service', 'web.service'])
    expect(planQuadlets(all, changed).removeNetworks).toEqual([{ mode: 'rootless', name: 'systemd-inner' }])
  })

  test('what is gone is stopped; a volume keeps what is in it', () => {
    expect(planQuadlets(all, [])).toMatchObject({
      stop: { length: all.length },
      removeNetworks: [{ name: 'systemd-inner' }],
      differs: true,
    })
  })

  test('a network has the name that it was given', () => {
    const named = quadlet('inner.network', '[Network]\nNetworkName=mine\n')
    expect(planQuadlets([named], []).removeNetworks).toEqual([{ mode: 'rootless', name: 'mine' }])
  })

  test('the same unit of the other kind is another one', () => {
    const rootful = quadlet('data.volume', '[Volume]\nLabel=x\n', 'rootful')
    expect(stopped([...all, rootful], all)).toEqual(['data-volume.service'])
  })

  test('what looks into the folder of the configuration is started anew', () => {
    const reading = quadlet('r.container', '[Container]\nImage=x:1\nVolume=/data/config/files/www:/www:ro\n')
    expect(stopped([reading, other], [reading, other])).toEqual(['r.service'])
  })
})
