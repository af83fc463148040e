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
    ours: 'a release (thorough: six) that is really broken, until U-Boot has used up its tries, instead of a mark',
  },
  'rauc-confirm': {
    seconds: 171,
    ours: 'a late failure, the WAN away, an old failure (thorough: each health check and the deadline as well): each in a copy of a pending device',
  },
  'rauc-power-loss': {
    seconds: 184,
    ours: 'a power cut between two writes of an update (thorough: 25 cuts all over it), the boot after it, and the update anew',
  },
  'rauc-watchdog': {
    seconds: 315,
    ours: 'the new release is frozen in the last of its tries (thorough: in each of three) until the watchdog resets, then the old one is back',
  },
  firewall: {
    seconds: 205,
    ours: "all 65,535 TCP ports, UDP and IPv6 from outside, the operator's lists, a power cut in the middle of a reload",
  },
  'network-isolation': { seconds: undefined, ours: 'no published time' },
  'ssh-wan-toggle': { seconds: undefined, ours: 'no published time' },
}
