import { containerServicesPath } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { smallProgram } from './hardening.ts'

/** Podman for Quadlets, rootful and rootless. Images, layers and volumes are on /data. */
export const containers: Module = {
  name: 'containers',
  packages: ['podman', 'crun', 'conmon', 'netavark', 'aardvark-dns', 'passt', 'uidmap', 'catatonit'],
  users: {
    appsvc: {
      uid: 900,
      home: '/data/containers/appsvc/home',
      description: 'rootless containers',
      subordinateIds: 1_000_000,
    },
  },
  leaveOut: {
    '/usr/libexec/podman/{podman-testing,rootlessport}':
      'a test program; and port forwarding that pasta does here',
    '/usr/lib/podman/netavark-dhcp-proxy-client': 'containers get no addresses from the networks outside',
    '/usr/lib/aarch64-linux-gnu/libcrun.a': 'for compiling programs with it',
    '/usr/bin/{qrap,passt-repair}': 'for virtual machines',
    '/usr/lib/systemd/**podman-{auto-update,clean-transient,restart,kube@}*':
      'Quadlets start containers; images change with the configuration',
    '/usr/lib/systemd/system/netavark-*': 'there is no firewalld, and no DHCP for containers',
    '/etc/cni/**': 'netavark sets up networks',
  },
  privileged: {
    '/usr/bin/newuidmap': 'rootless containers map the subordinate ids of appsvc',
    '/usr/bin/newgidmap': 'rootless containers map the subordinate ids of appsvc',
  },
  enable: ['container-activation.service'],
  units: {
    // A second unit, since systemd is told of new units only when devices and mounts have come up.
    'container-activation.service': {
      Unit: {
        Description: "Containers of the Operator's Configuration",
        Wants: 'activation.service',
        After: 'activation.service nftables.service systemd-networkd.service',
        ConditionPathExists: containerServicesPath,
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/lib/atomixos/start-containers',
        ...smallProgram,
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
  files: {
    '/usr/lib/atomixos/start-containers': {
      mode: 0o755,
      body: `#!/bin/sh
# Makes systemd know the containers of the configuration, and has it start them; the health check looks at how it goes.
set -eu
systemctl daemon-reload
exec xargs --no-run-if-empty systemctl start --no-block -- <${containerServicesPath}
`,
    },
    '/etc/containers/storage.conf': {
      body: [
        '[storage]',
        'driver = "overlay"',
        'runroot = "/run/containers/storage"',
        'graphroot = "/data/containers/storage"',
        'rootless_storage_path = "/data/containers/$USER/storage"',
        '',
      ].join('\n'),
    },
    '/etc/containers/containers.conf': {
      body: [
        '[containers]',
        'log_driver = "journald"',
        'tz = "UTC"',
        '',
        '[engine]',
        'runtime = "crun"',
        'cgroup_manager = "systemd"',
        'events_logger = "journald"',
        '',
        '[network]',
        'network_backend = "netavark"',
        'firewall_driver = "nftables"',
        '',
      ].join('\n'),
    },
    '/usr/lib/tmpfiles.d/atomixos-containers.conf': {
      body: [
        'd /data/containers 0755 root root -',
        'd /data/containers/storage 0700 root root -',
        'd /data/containers/appsvc 0700 appsvc appsvc -',
        'd /data/containers/appsvc/home 0700 appsvc appsvc -',
        '',
      ].join('\n'),
    },
  },
}
