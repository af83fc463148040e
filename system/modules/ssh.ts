import { dataUnavailableMarkerPath } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'
import { fleetSshSettings } from './fleet.ts'
import { hardening } from './hardening.ts'

/**
 * SSH by key only, for the users of the configuration. The host key is made on the device and lives on /data:
 * without /data there is no sshd.
 */
export const ssh: Module = {
  name: 'ssh',
  packages: ['openssh-server', 'openssh-client'],
  users: {
    sshd: { uid: 106, group: 'nogroup', home: '/run/sshd', description: 'sshd privilege separation' },
  },
  enable: ['ssh.service'],
  leaveOut: {
    '/usr/lib/systemd/system/{ssh.socket,sshd@.service,sshd-keygen.service,rescue-ssh.target}':
      'ssh.service serves, with the key that ssh-host-key.service makes',
    '/etc/ssh/moduli': 'no key exchange with Diffie-Hellman groups is on',
    '/usr/bin/{ssh-add,ssh-agent,ssh-argv0,ssh-copy-id,ssh-keyscan}': 'the device keeps no keys of people',
    '/usr/lib/openssh/{agent-launch,ssh-keysign,ssh-pkcs11-helper,ssh-sk-helper}':
      'the device keeps no keys of people',
    '/usr/lib/systemd/user/**ssh-agent*': 'the device keeps no keys of people',
  },
  units: {
    'ssh-host-key.service': {
      Unit: {
        Description: 'SSH host key on /data',
        RequiresMountsFor: '/data',
        AssertPathExists: `!${dataUnavailableMarkerPath}`,
        Before: 'ssh.service',
      },
      Service: {
        Type: 'oneshot',
        RemainAfterExit: true,
        ExecStart: '/usr/lib/atomixos/ssh-host-key',
        UMask: '0077',
        ...hardening,
        ProtectSystem: 'strict',
        ReadWritePaths: '/data',
        PrivateTmp: true,
        PrivateDevices: true,
        PrivateNetwork: true,
        ProtectControlGroups: true,
        ProtectKernelTunables: true,
        RestrictAddressFamilies: 'AF_UNIX',
        MemoryDenyWriteExecute: true,
        SystemCallArchitectures: 'native',
      },
    },
  },
  files: {
    '/usr/lib/atomixos/ssh-host-key': {
      mode: 0o755,
      body: `#!/bin/sh
# Makes the host key once. A key that cannot be read (a power cut while it was written) is made again.
set -eu
dir=/data/ssh
key=$dir/ssh_host_ed25519_key
mkdir -p "$dir"
chmod 0700 "$dir"
if ssh-keygen -y -P '' -f "$key" >/dev/null 2>&1; then exit 0; fi
new=$dir/.new
rm -rf "$new"
mkdir "$new"
ssh-keygen -q -t ed25519 -N '' -C '' -f "$new/key"
sync -f "$new"
mv -f "$new/key.pub" "$key.pub"
mv -f "$new/key" "$key"
rmdir "$new"
sync -f "$dir"
`,
    },
    '/usr/lib/systemd/system/ssh.service.d/10-device.conf': {
      body: '[Unit]\nRequires=ssh-host-key.service\nAfter=ssh-host-key.service\n',
    },
    '/etc/ssh/sshd_config': {
      body: `Port 22
AddressFamily inet
HostKey /data/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /data/config/ssh-authorized-keys/%u
# Keys are written by root for others; their folder is root's, not the user's.
StrictModes yes
PermitRootLogin no
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
GSSAPIAuthentication no
# PAM opens the session (logind, limits); it authenticates nobody.
UsePAM yes
KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,curve25519-sha256,ecdh-sha2-nistp256
AllowAgentForwarding no
X11Forwarding no
PermitUserEnvironment no
PrintMotd no
MaxAuthTries 3
MaxSessions 10
LoginGraceTime 30
ClientAliveInterval 60
ClientAliveCountMax 3
Subsystem sftp /usr/lib/openssh/sftp-server

${fleetSshSettings}`,
    },
    '/etc/pam.d/sshd': {
      replaces: 'openssh-server',
      body: [
        'auth required pam_deny.so',
        'account required pam_nologin.so',
        '@include common-account',
        'session optional pam_keyinit.so force revoke',
        'session optional pam_loginuid.so',
        '@include common-session',
        'session required pam_limits.so',
        '@include common-password',
        '',
      ].join('\n'),
    },
  },
}
