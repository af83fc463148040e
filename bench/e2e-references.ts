/**
 * What the reference system publishes of its tests of these names: seconds on Linux by emulation (TCG, a virtual machine
 * with 4 GB). Of two there is no figure. `ours` says what our story does that the time has to be read with.
 */
export const references: Readonly<
  Record<string, { readonly seconds: number | undefined; readonly ours: string }>
> = {
  'rauc-slots': {
    seconds: 132,
    ours: 'a boot from a fresh disk, two restarts, a confirmation with its 60 s, three power cuts and the boot after them',
  },
  'rauc-update': {
    seconds: 137,
    ours: 'a server over HTTPS, restarts through U-Boot, a confirmation with its 60 s, and one restart more (thorough: five)',
  },
  'rauc-rollback': {
    seconds: 120,
    ours: 'three (thorough: six) releases that are really broken, each until U-Boot has used up its tries, instead of a mark',
  },
  'rauc-confirm': {
    seconds: 171,
    ours: 'two (thorough: all) health checks, a late failure, the deadline, the WAN away, an old failure: each in a copy of a pending device',
  },
  'rauc-power-loss': {
    seconds: 184,
    ours: 'an undisturbed update to compare with, then two (thorough: 25) power cuts, each with the boot after it, instead of one',
  },
  'rauc-watchdog': {
    seconds: 315,
    ours: 'every one of three starts of the new release is frozen until the watchdog resets, then the old one is back',
  },
  firewall: {
    seconds: 205,
    ours: "all 65,535 TCP ports, UDP and IPv6 from outside, the operator's lists, a power cut in the middle of a reload",
  },
  'network-isolation': { seconds: undefined, ours: 'no published time' },
  'ssh-wan-toggle': { seconds: undefined, ours: 'no published time' },
}
