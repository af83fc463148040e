import { access, readFile } from 'node:fs/promises'
import { containerServicesPath, quadletRuntimePath } from '@atomixos/config'
import type { Activator, ContainerState } from '../apply/activator.ts'
import { parseUnits } from '../health/parse-facts.ts'
import { lastLine, runProgram } from '../run-program.ts'
import { activateNetwork } from './activate-network.ts'
import { activateQuadlets } from './activate-quadlets.ts'
import { parseQuadletRuntime } from './quadlets.ts'

const systemctl = '/usr/bin/systemctl'

/** Networks, firewall and containers with privileges. */
export const deviceActivator: Activator = {
  async activate(say) {
    const problems = await activateNetwork({ reload: true, log: { info: say, warn: say } })
    if (problems > 0) throw new Error('not all of the networks and the firewall could be set up')
    await activateQuadlets()
    const wanted = await access(containerServicesPath).then(
      () => true,
      () => false,
    )
    if (wanted) await run([systemctl, 'restart', 'container-activation.service'])
  },

  async containerStates() {
    const text = await readFile(quadletRuntimePath, 'utf8')
    const containers = parseQuadletRuntime(text).filter(({ unit }) => unit.endsWith('.container'))
    const names = containers.map(({ service }) => service)
    const shown = await run([
      systemctl,
      'show',
      '--property=Id,LoadState,ActiveState,SubState,Result',
      '--',
      ...names,
    ])
    const units = parseUnits(shown)
    return containers.map(({ unit, service }): ContainerState => {
      const name = unit.slice(0, -'.container'.length)
      const { activeState, result } = units.get(service) ?? { activeState: 'inactive', result: '' }
      if (activeState === 'active') return { name, state: 'active' }
      if (activeState === 'failed') return { name, state: 'failed', message: result }
      return { name, state: activeState === 'activating' ? 'starting' : 'waiting' }
    })
  },

  async restart(names) {
    await run([systemctl, 'restart', '--no-block', '--', ...names.map((name) => `${name}.service`)])
  },
}

async function run(argv: readonly [string, ...string[]]): Promise<string> {
  const result = await runProgram(argv, { timeoutMs: 120_000 })
  if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${lastLine(result)}`)
  return result.stdout
}
