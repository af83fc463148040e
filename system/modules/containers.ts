import { configFolder, containerTasksPath, loadedArchivesPath } from '@atomixos/config'
import { rootlessAccount, rootlessId } from '@atomixos/config/operator/accounts.ts'
import type { Module } from '@atomixos/image/definition/words.ts'
import { smallProgram } from './hardening.ts'

/** Where Quadlet looks for units of the system: podman-systemd.unit(5). */
const quadletFolders = ['/run/containers/systemd', '/etc/containers/systemd', '/usr/share/containers/systemd']

/** Podman for Quadlets, rootful and rootless. Images, layers and volumes are on /data. */
export const containers: Module = {
  name: 'containers',
  packages: ['podman', 'crun', 'conmon', 'netavark', 'aardvark-dns', 'passt', 'uidmap', 'catatonit'],
  users: {
    [rootlessAccount]: {
      uid: rootlessId,
      home: '/data/containers/appsvc/home',
      description: 'rootless containers',
      subordinateIds: 1_000_000,
    },
  },
  leaveOut: {
    '/usr/lib/systemd/user/podman-user-wait-network-online.service':
      'containers start without a WAN, too; Quadlet only wants it',
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
  // Registries of the operator's own: who answers for them, mirrors, and which may be asked without TLS. Both kinds of
  // containers read them there. Without such files podman goes by what is built in.
  symlinks: {
    '/etc/containers/certs.d': `${configFolder}/files/registries/certs.d`,
    '/etc/containers/registries.conf': {
      target: `${configFolder}/files/registries/registries.conf`,
      // It says nothing but comments.
      replaces: 'golang-github-containers-image',
    },
  },
  enable: ['container-activation.service'],
  units: {
    // A second unit, since systemd is told of new units only when devices and mounts have come up.
    'container-activation.service': {
      Unit: {
        Description: "Containers of the Operator's Configuration",
        Wants: 'activation.service',
        After: 'activation.service nftables.service systemd-networkd.service',
        ConditionPathExists: containerTasksPath,
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/lib/atomixos/start-containers',
        ...smallProgram,
        // The manager of applications without privileges answers nobody but their account, in /run/user.
        ProtectHome: 'read-only',
        CapabilityBoundingSet: 'CAP_SETUID CAP_SETGID',
        ReadWritePaths: '/data/containers',
      },
      Install: { WantedBy: 'multi-user.target' },
    },
  },
  files: {
    // Quadlet is a Go program of 2 MB, and systemd waits for it at the start and each time it reads its units again. It is
    // started when there is something for it to read; at the start there is not, as the activation comes later.
    '/usr/lib/systemd/system-generators/podman-system-generator': {
      replaces: 'podman',
      mode: 0o755,
      body: `#!/bin/sh
for file in ${quadletFolders.map((folder) => `${folder}/*`).join(' ')}; do
    case $file in
    # Of applications without privileges: their manager has a generator of its own.
    */users) continue ;;
    esac
    if [ -e "$file" ]; then exec /usr/libexec/podman/quadlet "$@"; fi
done
`,
    },
    '/usr/lib/atomixos/start-containers': {
      mode: 0o755,
      body: `#!/bin/sh
# Loads the images that the configuration brought, makes systemd know its containers, and has it start them; the health
# check looks at how it goes. Those without privileges run under a manager of their account, which is there for them only.
set -eu
tasks=${containerTasksPath}
manager=user@${rootlessId}.service

as_account() {
    setpriv --reuid=${rootlessId} --regid=${rootlessId} --init-groups env -C / XDG_RUNTIME_DIR=/run/user/${rootlessId} "$@"
}
services() {
    sed -n "s/^start $1 //p" "$tasks"
}

if grep -q '^[a-z]* rootless ' "$tasks"; then
    loginctl enable-linger ${rootlessAccount}
    systemctl start "$manager"
elif systemctl --quiet is-active "$manager"; then
    loginctl disable-linger ${rootlessAccount}
fi

failed=0
while read -r task mode stamp file; do
    if [ "$task" != load ]; then continue; fi
    echo "loading the images of $file"
    # In a unit of its own: podman needs far more than this one may.
    case $mode in
    rootful) set -- systemd-run ;;
    *) set -- as_account systemd-run --user ;;
    esac
    if "$@" --quiet --wait --collect podman load --quiet --input "$file" </dev/null; then
        echo "$stamp" >>${loadedArchivesPath}
    else
        echo "<3>$file: podman could not load it; its own lines in the journal say why"
        failed=1
    fi
done <"$tasks"

systemctl daemon-reload
services rootful | xargs --no-run-if-empty systemctl start --no-block --
if systemctl --quiet is-active "$manager"; then
    as_account systemctl --user daemon-reload
    names=$(services rootless)
    # Names of services have no spaces.
    if [ -n "$names" ]; then as_account systemctl --user start --no-block -- $names; fi
fi
exit $failed
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
