/**
 * Accounts and groups of the image, and accounts of Debian and the packages in it: an operator's users have other names.
 * A test compares them with what the image declares.
 */
export const reservedAccounts: ReadonlySet<string> = new Set([
  ...['root', 'nobody', 'appsvc', 'sshd', 'dnsmasq', '_chrony', 'polkitd', 'messagebus', 'tss', 'atomixos'],
  'api-front',
  ...['systemd-network', 'systemd-resolve', 'systemd-timesync', 'systemd-journal', 'systemd-coredump'],
  ...['daemon', 'bin', 'sys', 'sync', 'games', 'man', 'lp', 'mail', 'news', 'uucp', 'proxy', 'www-data'],
  ...['backup', 'list', 'irc', '_apt', 'openvpn', 'rauc', 'fleet-link', 'syslog'],
  // A user has a group of the same name, and must not get into one of these that way.
  ...['adm', 'tty', 'disk', 'kmem', 'dialout', 'cdrom', 'floppy', 'tape', 'sudo', 'audio', 'src', 'shadow'],
  ...['utmp', 'video', 'staff', 'users', 'nogroup', 'input', 'kvm', 'render', 'sgx', 'clock', 'crontab'],
])

/** Of all applications without privileges. */
export const rootlessAccount = 'appsvc'

/** Its id, and its group's, on every device and for ever: what is on /data belongs to it. */
export const rootlessId = 900
