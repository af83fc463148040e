import type { Module } from '@atomixos/image/definition/words.ts'

const installTime = 'serves the installation of packages, which never happens on the device'
const documentation = 'documentation is read elsewhere'

/** Files that packages bring and a device that is composed, never administered by hand, does not need. */
export const trim: Module = {
  name: 'trim',
  leaveOut: {
    '/usr/share/doc/**': documentation,
    '/usr/share/man/**': documentation,
    '/usr/share/info/**': documentation,
    '/usr/lib/sysusers.d/basic.conf':
      'accounts of a general-purpose Debian; those that are needed are declared',
    '/usr/share/lintian/**': installTime,
    '/usr/share/bug/**': installTime,
    '/usr/share/locale/**': 'messages are in English',
    '/usr/share/bash-completion/**': 'nobody types for long',
    '/usr/share/zsh/vendor-completions/**': 'nobody types for long',
    '/usr/share/fish/**': 'there is no fish',
    '/usr/lib/modules/**': 'the modules of the definition come as a built part',
    '/usr/lib/linux-image-*/**': 'device trees are in the boot slot',
    '/boot/**': 'the kernel is in the boot slot',
    '/usr/share/ca-certificates/**': 'all of them are in one file, ca-certificates.crt',
    '/usr/share/initramfs-tools/**': installTime,
    '/etc/init.d/**': 'systemd is the init system',
    '/etc/logrotate.d/**': 'rsyslog bounds its own files',
    '/etc/apparmor.d/**': 'no AppArmor profile is loaded',
    '/etc/ufw/**': 'nftables is the firewall',
    '/etc/sv/**': 'systemd is the init system',
    '/etc/modules-load.d/modules.conf': 'kernel modules to load are declared',
    '/etc/rmt': 'there are no tape drives',
    '/usr/bin/{c_rehash,routel}': 'scripts for interpreters that are not here',
    '/usr/lib/ssl/misc/**': 'scripts for interpreters that are not here',
    '/usr/sbin/{pam-auth-update,pam_getenv,update-passwd}': installTime,
    '/usr/share/openvpn/**': 'scripts for interpreters that are not here',
    '/usr/share/{debconf,debianutils,gdb,gcc,gettext,keyrings,pkgconfig,libc-bin,libdebuginfod-common}/**':
      installTime,
    '/usr/lib/aarch64-linux-gnu/gconv/**': 'text is UTF-8',
    '/usr/bin/{iconv,localedef,pldd,tzselect,zdump}': 'text is UTF-8, time is UTC',
    '/usr/sbin/{iconvconfig,ldconfig,zic}': 'made what is composed here',
    '/usr/lib/aarch64-linux-gnu/lib{BrokenLocale,anl,c_malloc_debug,memusage,mvec,nsl,nss_compat,nss_hesiod,pcprofile,thread_db}.so*':
      'for old programs, and for debugging',
    '/usr/lib/aarch64-linux-gnu/lib{brotlienc,drop_ambient,expatw,formw,gthread-2.0,menuw,pamc,panelw,psx}.so*':
      'nothing that is here loads it',
    '/usr/lib/aarch64-linux-gnu/{engines-3,glib-2.0,krb5,sasl2}/**': 'nothing that is here loads it',
    '/usr/bin/pzstd': 'zstd does it',
    '/usr/lib/udev/hwdb.d/**':
      'names of hardware for people; the drivers and rules that are here do not ask it',
  },
}
