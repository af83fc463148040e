/**
 * Services of the image. What Quadlet makes takes precedence over what the image has in /usr: a container called
 * `nftables` would be started instead of the firewall. A test compares them with the units of all packages and modules.
 */
const services: ReadonlySet<string> = new Set([
  ...['api-front', 'boot-ui-port', 'claim-code', 'config-worker'],
  ...['activation', 'chrony', 'chronyd', 'chrony-wait', 'chronyd-restricted', 'console-getty', 'cryptdisks'],
  ...[
    'container-activation',
    'cryptdisks-early',
    'dbus',
    'debug-shell',
    'display-manager',
    'dnsmasq',
    'emergency',
    'fleet-link',
  ],
  ...[
    'fstrim',
    'getty-static',
    'hwclock',
    'kmod',
    'kmod-static-nodes',
    'last-seen-time',
    'last-seen-time-note',
  ],
  ...[
    'ldconfig',
    'netavark-dhcp-proxy',
    'netavark-firewalld-reload',
    'nftables',
    'openvpn',
    'openvpn-recovery',
  ],
  ...['os-upgrade', 'os-verification', 'pam_namespace', 'podman', 'polkit', 'procps', 'quotaon-root', 'rauc'],
  ...['config-recovery', 'provisioning', 'rc-local', 'reboot-watchdog', 'rescue', 'rescue-shell', 'rsyslog'],
  ...['slot-deadline', 'ssh', 'sshd', 'ssh-agent', 'ssh-host-key', 'sshd-keygen', 'syslog', 'system-log'],
  ...['system-log-flush', 'system-update-cleanup', 'udev', 'x11-common'],
])

const families = /^(?:atomixos|dbus|initrd|podman|systemd|u-boot-environment)-/

/** By name, with or without `.service`. */
export function isReservedService(name: string): boolean {
  const plain = name.replace(/\.service$/, '')
  return services.has(plain) || families.test(plain)
}
