/**
 * What can happen to a device in its life, as its log tells it: name and meaning. A reader meets names of newer
 * systems, too: after a rollback.
 */
export const lifeCycleEvents = {
  boot: 'the device started; the detail says in which state the slot was',
  'install-started': 'a bundle has passed the last word of the device, and the other slot is being written',
  installed: 'the other slot is written and comes first at the next start',
  'install-failed': 'the other slot could not be written, or the writing was cut off',
  'update-refused': 'a bundle was refused before a slot was touched',
  'delta-refused': 'a delta did not lead to its bundle; the full bundle is fetched instead',
  'verification-failed': 'a check of the running slot did not pass; the reason names it',
  confirmed: 'the running slot has proven itself',
  'rolled-back': 'the release in the other slot was given up, and does not come again by itself',
  revived: 'every slot was out of tries, and the confirmed one got one more from U-Boot',
  watchdog: 'the hardware watchdog had reset the device',
  'rescue-shell': 'somebody at the serial line asked U-Boot for a root shell',
  provisioned: 'the first configuration is active',
  'config-applied': 'a configuration was put in place, and its containers came up',
  'config-confirmed': 'somebody confirmed that the device is still reached',
  'config-failed': 'a configuration was refused, and nothing had changed yet',
  'config-rolled-back': 'a configuration did not hold, and the one before is active again',
  'factory-reset': 'all that was on /data is gone, and the device waits for a configuration',
  'time-set': 'kept for corrections of the clock; nothing writes it yet',
} as const satisfies Readonly<Record<string, string>>

export type LifeCycleEvent = keyof typeof lifeCycleEvents
