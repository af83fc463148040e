import type { SlotName } from '@atomixos/config'

export type LifeCycleEventName =
  | 'boot'
  | 'install-started'
  | 'installed'
  | 'install-failed'
  | 'update-refused'
  | 'verification-failed'
  | 'confirmed'
  | 'rolled-back'
  | 'revived'
  | 'watchdog'
  | 'time-set'

/** Something in the life of a device that must be readable after a power cut. */
export interface LifeCycleEvent {
  readonly event: LifeCycleEventName
  readonly slot?: SlotName
  readonly version?: string
  readonly reason?: string
  readonly detail?: string
}
