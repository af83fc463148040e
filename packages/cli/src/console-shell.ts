/**
 * systemd credentials that put a root shell on the serial console of an unmodified image, instead of a login that
 * nobody can pass. Only a hypervisor can hand them over. Names are short, since those of fw_cfg are.
 */
export const consoleShellCredentials: Readonly<Record<string, string>> = {
  'systemd.extra-unit.c.service': `[Unit]
Description=Root shell on the console
After=multi-user.target serial-getty@ttyAMA0.service
Conflicts=serial-getty@ttyAMA0.service
IgnoreOnIsolate=yes
[Service]
Environment=HOME=/root USER=root SHELL=/bin/bash TERM=vt220 "PS1=root@\\\\h:\\\\w# "
WorkingDirectory=/root
ExecStart=/bin/bash --login -i
StandardInput=tty-force
StandardOutput=inherit
StandardError=inherit
TTYPath=/dev/ttyAMA0
TTYReset=yes
TTYVHangup=yes
Restart=always
RestartSec=1
KillSignal=SIGHUP
`,
  // A mount can want an injected unit, which nothing else does.
  'fstab.extra': 'tmpfs /run/vm-console.mount tmpfs size=4k,mode=0700,nofail,x-systemd.wants=c.service 0 0\n',
}
