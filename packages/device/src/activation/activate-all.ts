import type { Activator } from '../apply/activator.ts'
import { lastLine } from '../run-program.ts'
import { activateNetwork } from './activate-network.ts'
import { activateQuadlets, readActiveQuadlets } from './activate-quadlets.ts'
import { activateUsers } from './activate-users.ts'
import { containerStates } from './container-states.ts'
import { runAs, systemctlOf } from './rootless.ts'

/** The real one: accounts, systemd-networkd, nftables, Quadlets. */
export const deviceActivator: Activator = {
  async activate(say) {
    const log = { info: say, warn: say }
    await activateUsers({ log })
    const problems = await activateNetwork({ reload: true, log })
    if (problems > 0)
      throw new Error(`network: ${problems} of its parts are not as configured; the log says which`)
    await activateQuadlets({ live: true, log })
  },

  containerStates,

  async restart(names) {
    const wanted = new Set(names.map((name) => `${name}.container`))
    const entries = (await readActiveQuadlets()).filter(({ unit }) => wanted.has(unit))
    for (const mode of ['rootful', 'rootless'] as const) {
      const services = entries.filter((entry) => entry.mode === mode).map(({ service }) => service)
      if (services.length === 0) continue
      const argv: [string, ...string[]] = [...systemctlOf(mode), 'restart', '--no-block', '--', ...services]
      const restarted = await runAs(mode, argv, { timeoutMs: 60_000 })
      if (restarted.exitCode !== 0)
        throw new Error(`restarting ${services.join(', ')}: ${lastLine(restarted)}`)
    }
  },
}
