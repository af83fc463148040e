import { apiService } from '@atomixos/config/api/index.ts'
import { workerAt } from '../api/ask-worker.ts'
import { formKeyIn } from '../api/form-token.ts'
import { createFront } from '../api/front.ts'
import { activationSocket, requireActivation, serveUntilIdle } from '../api/serve-until-idle.ts'

/** Connections that are kept open end well before this. */
const idleMs = 30_000

/** The half of the API that faces the network; for its unit. */
export async function apiFront(env: NodeJS.ProcessEnv): Promise<number> {
  requireActivation(env, 'api-front')
  const front = createFront({
    ask: workerAt(apiService.workerSocket),
    formKey: formKeyIn(apiService.frontFolder),
  })
  await serveUntilIdle(front, activationSocket, { idleMs })
  return 0
}
