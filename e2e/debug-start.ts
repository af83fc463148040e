/**
 * With what a person begins who debugs a story: the machine that the story itself begins with. `flashed` is one that was
 * never on; the others are copies of saved machines, made by `provisioned.ts` and `pending.ts`, and run at once.
 */
export type DebugStart = 'flashed' | 'provisioned' | 'pending'

const flashed = new Set([
  ...['api', 'boot-chain', 'boot-ui', 'clock', 'firmware', 'fresh-flash', 'logs', 'naming', 'power-campaign'],
  ...['provisioning', 'rauc-slots', 'rut-oh', 'vm'],
])

export function debugStartOf(story: string): DebugStart {
  if (story === 'rauc-confirm') return 'pending'
  return flashed.has(story) ? 'flashed' : 'provisioned'
}
