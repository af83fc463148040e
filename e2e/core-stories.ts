/** What an update and the network must never get wrong: told by `./atomixos e2e` without a name, and measured by `bench e2e`. */
export const coreStories: readonly string[] = [
  'rauc-slots',
  'rauc-update',
  'rauc-rollback',
  'rauc-confirm',
  'rauc-power-loss',
  'rauc-watchdog',
  'firewall',
  'network-isolation',
  'ssh-wan-toggle',
]

/** On two cores: a story sleeps for a third of its time, while a slot is watched or a server stalls. */
export const storiesAtATime = 3
