import type { Module } from '@atomixos/image/definition/words.ts'

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
  mask: {
    'podman-auto-update.timer': 'images change with the configuration only',
    'podman-auto-update.service': 'images change with the configuration only',
    'podman-restart.service': 'Quadlets start containers',
    'podman-clean-transient.service': 'storage is not transient',
    'netavark-firewalld-reload.service': 'there is no firewalld',
    'netavark-dhcp-proxy.socket': 'containers get no addresses from the networks outside',
  },
  privileged: {
    '/usr/bin/newuidmap': 'rootless containers map the subordinate ids of appsvc',
    '/usr/bin/newgidmap': 'rootless containers map the subordinate ids of appsvc',
  },
  files: {
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
