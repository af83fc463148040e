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
    // run0 asks systemd, systemd asks polkit. There is no password to ask for: the SSH key was the proof.
    '/usr/share/polkit-1/rules.d/50-administrators.rules': {
      body: "polkit.addRule(function (action, subject) {\n  if (subject.isInGroup('sudo')) return polkit.Result.YES\n})\n",
    },
    // The console shows a login prompt, and the banner; nobody has a password to log in there with.
    '/etc/pam.d/login': {
      replaces: 'login',
      body: '@include common-auth\naccount required pam_nologin.so\n@include common-account\n@include common-session\n',
    },
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
  leaveOut: {
    '/usr/lib/aarch64-linux-gnu/security/pam_*.so': 'keys open sessions; few modules take part',
    '/usr/bin/{chage,chfn,chsh,expiry,gpasswd,newgrp,passwd,sg,su}':
      'there are no passwords; administrators use run0',
    '/etc/pam.d/{chfn,chpasswd,chsh,newusers,passwd,su,su-l}':
      'there are no passwords; administrators use run0',
    '/usr/sbin/{chgpasswd,chpasswd,newusers,grpconv,grpunconv,pwconv,pwunconv,unix_update,vigr,vipw}':
      'there are no passwords',
    '/usr/sbin/{faillock,mkhomedir_helper,pam_namespace_helper,pam_timestamp_check,pwhistory_helper}':
      'helpers of modules that are not here',
    '/usr/lib/systemd/system/pam_namespace.service': 'helper of a module that is not here',
    '/usr/share/pam*/**': 'pam.d is declared',
    '/usr/share/base-passwd/**': 'accounts are declared',
  },
  keep: {
    '/usr/lib/aarch64-linux-gnu/security/pam_{deny,env,keyinit,limits,loginuid,nologin,permit,rootok,systemd,umask,unix}.so':
      'named in pam.d',
  },
  unprivileged: {
    '/usr/bin/mount': 'only root mounts',
    '/usr/bin/umount': 'only root mounts',
  },
}
