import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * Time from the internet. systemd sets the clock to no earlier than the time of
 * /usr/lib/clock-epoch, which is the time of the build: a floor for a board without a clock battery.
 */
export const time: Module = {
  name: 'time',
  packages: ['chrony', 'tzdata'],
  users: { _chrony: { uid: 107, home: '/var/lib/chrony', description: 'chrony' } },
  enable: ['chrony.service'],
  directories: { '/var/lib/chrony': { mode: 0o750, owner: '_chrony:_chrony' } },
  files: {
    '/usr/lib/clock-epoch': { body: '' },
    '/etc/chrony/chrony.conf': {
      body: [
        'server time.cloudflare.com iburst',
        'driftfile /var/lib/chrony/chrony.drift',
        'makestep 1 3',
        'rtcsync',
        'leapseclist /usr/share/zoneinfo/leap-seconds.list',
        '# The LAN is served by the device once it knows the LAN; until then nothing listens.',
        'port 0',
        'cmdport 0',
        '',
      ].join('\n'),
    },
  },
}
