import { activateNetwork } from '../activation/activate-network.ts'
import { activateQuadlets } from '../activation/activate-quadlets.ts'
import { activateUsers } from '../activation/activate-users.ts'
import { journalLog } from './network.ts'

/** At the start, in one run: networks, firewall, users, containers. What one of them has wrong is no reason to leave the others. */
export async function activate(): Promise<number> {
  const results = await Promise.allSettled([
    activateNetwork({ reload: false, log: journalLog }),
    activateUsers({ log: journalLog }),
    activateQuadlets({ live: false, log: journalLog }),
  ])
  for (const result of results) {
    if (result.status === 'rejected') journalLog.warn((result.reason as Error).message)
  }
  const [network] = results
  const all = results.every(({ status }) => status === 'fulfilled')
  return all && network.status === 'fulfilled' && network.value === 0 ? 0 : 1
}
