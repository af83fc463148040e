import type { Module } from '@atomixos/image/definition/words.ts'

/** dnsmasq gives the LAN addresses and names. Started by the device once it knows the LAN's settings. */
export const lan: Module = {
  name: 'lan',
  packages: ['dnsmasq-base'],
  users: { dnsmasq: { uid: 108, home: '/var/lib/misc', description: 'DHCP and DNS for the LAN' } },
}
