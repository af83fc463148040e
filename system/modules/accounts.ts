import type { Module } from '@atomixos/image/definition/words.ts'

/**
 * Accounts and how one becomes them. Ids are fixed: files on /data keep their owners over every update. All are
 * locked; people come with the configuration, by SSH key. Numbers up to 100 are Debian's own.
 */
export const accounts: Module = {
  name: 'accounts',
  packages: ['login', 'passwd', 'libpam-modules', 'libpam-runtime', 'polkitd'],
  groups: {
    tty: { gid: 5 },
    disk: { gid: 6 },
    lp: { gid: 7 },
    adm: { gid: 4 },
    mail: { gid: 8 },
    kmem: { gid: 15 },
    dialout: { gid: 20 },
    cdrom: { gid: 24 },
    floppy: { gid: 25 },
    tape: { gid: 26 },
    sudo: { gid: 27 },
    audio: { gid: 29 },
    src: { gid: 40 },
    shadow: { gid: 42 },
    utmp: { gid: 43 },
    video: { gid: 44 },
    staff: { gid: 50 },
    users: { gid: 100 },
    nogroup: { gid: 65534 },
  },
  users: {
    root: { uid: 0, home: '/root', shell: '/bin/bash', description: 'root' },
    nobody: { uid: 65534, group: 'nogroup', description: 'nobody' },
    polkitd: { uid: 105, description: 'authorization manager' },
  },
  directories: {
    '/etc/polkit-1/rules.d': { mode: 0o750, owner: 'root:polkitd' },
    '/usr/share/polkit-1/rules.d': { mode: 0o755 },
  },
  files: {
    '/etc/pam.d/common-auth': { body: 'auth required pam_deny.so\n' },
    '/etc/pam.d/common-account': { body: 'account required pam_unix.so\n' },
    '/etc/pam.d/common-password': { body: 'password required pam_deny.so\n' },
    '/etc/pam.d/common-session': {
      body: 'session required pam_unix.so\nsession optional pam_umask.so\nsession optional pam_systemd.so\n',
    },
    '/etc/pam.d/common-session-noninteractive': {
      body: 'session required pam_unix.so\nsession optional pam_umask.so\n',
    },
  },
  privileged: {
    '/usr/sbin/unix_chkpwd': 'pam_unix looks at account expiry for services that are not root',
  },
  unprivileged: {
    '/usr/bin/chage': 'accounts are made from the configuration',
    '/usr/bin/chfn': 'accounts are made from the configuration',
    '/usr/bin/chsh': 'accounts are made from the configuration',
    '/usr/bin/expiry': 'there are no passwords that could expire',
    '/usr/bin/gpasswd': 'there are no group passwords',
    '/usr/bin/newgrp': 'there are no group passwords',
    '/usr/bin/passwd': 'there are no passwords',
    '/usr/bin/su': 'there are no passwords; administrators use run0',
    '/usr/bin/mount': 'only root mounts',
    '/usr/bin/umount': 'only root mounts',
    '/usr/lib/openssh/ssh-keysign': 'host-based authentication is off',
  },
}
