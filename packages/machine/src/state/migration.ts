import { setTimeout as sleep } from 'node:timers/promises'
import { MachineError } from '../errors.ts'
import type { Qmp } from '../types.ts'

/** Memory that is a shared file stays where it is: only the devices' state is transferred. */
export async function ignoreSharedMemory(qmp: Qmp): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await qmp.execute('migrate-set-capabilities', { capabilities })
}

/** Throws MachineError with QEMU's reason when it fails. */
export async function migrationEnd(qmp: Qmp): Promise<void> {
  for (;;) {
    const answer = (await qmp.execute('query-migrate')) as { status?: string; 'error-desc'?: string }
    if (answer.status === 'completed') return
    if (answer.status === 'failed' || answer.status === 'cancelled') {
      throw new MachineError(
        `QEMU could not transfer the machine's state: ${answer['error-desc'] ?? answer.status}`,
      )
    }
    await sleep(10)
  }
}
