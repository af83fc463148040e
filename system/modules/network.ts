import { hostNetworkDefaults, lanDefaults, renderNetworkd } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

const usbDrivers = ['r8152', 'ax88179_178a', 'cdc_ether', 'cdc_ncm', 'r8153_ecm']

/**
 * Names and addresses. The onboard Ethernet is eth0 (WAN); USB adapters are eth1 and up. On QEMU the kernel's
 * own order stays: the first virtio adapter on the PCI bus is eth0.
 */
export const network: Module = {
  name: 'network',
  packages: ['systemd-resolved'],
  users: {
    'systemd-network': { uid: 103, description: 'network management' },
    'systemd-resolve': { uid: 104, description: 'resolver' },
  },
  enable: ['systemd-networkd.service', 'systemd-networkd.socket', 'systemd-resolved.service'],
  leaveOut: {
    '/usr/sbin/{arpd,dcb,devlink,genl,rtacct,tipc,vdpa}': 'for networks and hardware that are not here',
    '/usr/bin/rdma': 'for networks and hardware that are not here',
  },
  symlinks: { '/etc/resolv.conf': '../run/systemd/resolve/stub-resolv.conf' },
  files: {
    '/usr/lib/systemd/network/10-onboard.link': {
      body: '[Match]\nPath=platform-ff540000.ethernet\n\n[Link]\nName=eth0\n',
    },
    '/usr/lib/systemd/network/20-kernel-names.link': {
      body: `[Match]\nDriver=${['virtio_net', ...usbDrivers].join(' ')}\n\n[Link]\nNamePolicy=\nMACAddressPolicy=none\n`,
    },
    // The kernel calls them ethN or usbN by their address, and eth0 when they come before the onboard adapter.
    '/usr/lib/udev/rules.d/76-usb-ethernet.rules': {
      body: [
        'ACTION=="add", SUBSYSTEM=="net", SUBSYSTEMS=="usb", KERNEL=="eth*|usb*", IMPORT{builtin}="path_id", \\',
        '  PROGRAM="/usr/lib/atomixos/usb-ethernet-name", NAME="%c"',
        '',
      ].join('\n'),
    },
    '/usr/lib/atomixos/usb-ethernet-name': {
      mode: 0o755,
      body: { hostPath: new URL('./usb-ethernet-name.sh', import.meta.url) },
    },
    '/usr/lib/modprobe.d/ethernet-order.conf': {
      body: [
        '# The onboard adapter registers first, so that USB adapters are eth1 and up from the start.',
        ...usbDrivers.map((driver) => `softdep ${driver} pre: dwmac_rk`),
        '',
      ].join('\n'),
    },
    ...Object.fromEntries(
      Object.entries(renderNetworkd(lanDefaults, hostNetworkDefaults)).map(([name, body]) => [
        `/usr/lib/systemd/network/${name}`,
        { body },
      ]),
    ),
    '/usr/lib/systemd/networkd.conf.d/10-device.conf': {
      // Containers and VPN bring addresses and routes of their own: leave what is not ours alone.
      body: '[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\nIPv4Forwarding=no\nIPv6Forwarding=no\n',
    },
    '/usr/lib/systemd/resolved.conf.d/10-device.conf': {
      body: '[Resolve]\nLLMNR=no\nMulticastDNS=no\nFallbackDNS=\nCache=yes\n',
    },
  },
  sysctls: {
    'net.ipv4.ip_forward': 0,
    'net.ipv4.conf.all.forwarding': 0,
    'net.ipv4.conf.default.forwarding': 0,
    'net.ipv6.conf.all.forwarding': 0,
    'net.ipv6.conf.default.forwarding': 0,
    'net.ipv4.conf.all.rp_filter': 1,
    'net.ipv4.conf.default.rp_filter': 1,
    'net.ipv4.conf.all.accept_redirects': 0,
    'net.ipv4.conf.default.accept_redirects': 0,
    'net.ipv4.conf.all.secure_redirects': 0,
    'net.ipv4.conf.all.send_redirects': 0,
    'net.ipv4.conf.default.send_redirects': 0,
    'net.ipv4.conf.all.accept_source_route': 0,
    'net.ipv4.conf.default.accept_source_route': 0,
    'net.ipv6.conf.all.accept_redirects': 0,
    'net.ipv6.conf.default.accept_redirects': 0,
    'net.ipv6.conf.all.accept_ra': 0,
    'net.ipv6.conf.default.accept_ra': 0,
    // An address answers ARP only on the interface that has it: WAN never learns of the LAN's.
    'net.ipv4.conf.all.arp_ignore': 1,
    'net.ipv4.conf.all.arp_announce': 2,
    'net.ipv4.tcp_syncookies': 1,
    'net.ipv4.icmp_echo_ignore_broadcasts': 1,
  },
}
