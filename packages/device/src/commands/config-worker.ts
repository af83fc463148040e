import { activationSocket, requireActivation, serveUntilIdle } from '../api/serve-until-idle.ts'
import { workerDoors } from '../api/wire.ts'
import { createWorker } from '../api/worker.ts'

/** A little longer than the front, which asks it. */
const idleMs = 40_000

/** The root half of the API; for its unit. */
export async function configWorker(env: NodeJS.ProcessEnv): Promise<number> {
  requireActivation(env, 'config-worker')
  await serveUntilIdle(createWorker(workerDoors()), activationSocket, { idleMs })
  return 0
}
