import { activateNetwork } from '../activation/activate-network.ts'
import { activateQuadlets } from '../activation/activate-quadlets.ts'
import { journalLog } from './network.ts'

/** At the start, in one run: networks, firewall, containers. What one of them has wrong is no reason to leave the others. */
export async function activate(): Promise<number> {
  const results = await Promise.allSettled([
    activateNetwork({ reload: false, log: journalLog }),
    activateQuadlets(),
  ])
  for (const result of results) {
    if (result.status === 'rejected') journalLog.warn((result.reason as Error).message)
  }
  const [network, quadlets] = results
  return network.status === 'fulfilled' && network.value === 0 && quadlets.status === 'fulfilled' ? 0 : 1
}
