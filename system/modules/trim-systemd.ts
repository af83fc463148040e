import type { Module } from '@atomixos/image/definition/words.ts'

const units = '/usr/lib/systemd/system'
const programs = '/usr/lib/systemd'

const noTpm = 'there is no TPM'
const noSleep = 'a gateway never sleeps'
const noInstall = 'the system is composed, not installed, set up or updated in place'
const noHardware = 'hardware that no board has'
const noNeed = 'a mount or service that nothing here uses, and that every boot would pay for'
const initrdOnly = 'the initrd has its own'

/**
 * Parts of systemd that a gateway does not have. Left out, not masked: what is not there costs no boot time and
 * cannot be started by mistake. Links in `.wants` folders go with their units.
 */
export const trimSystemd: Module = {
  name: 'trim-systemd',
  leaveOut: {
    [`${units}/**{systemd-pcr,systemd-tpm2,tpm2.target}*`]: noTpm,
    [`${programs}/{systemd-pcrextend,systemd-pcrlock,systemd-measure,systemd-tpm2-setup}`]: noTpm,
    [`${programs}/system-generators/systemd-tpm2-generator`]: noTpm,
    [`${units}/**{hibernate,suspend,hybrid-sleep,sleep.target}*`]: noSleep,
    [`${programs}/{systemd-sleep,systemd-hibernate-resume,systemd-battery-check}`]: noSleep,
    [`${programs}/system-generators/systemd-hibernate-resume-generator`]: noSleep,
    [`${units}/**{systemd-firstboot,systemd-sysusers,systemd-hwdb-update,systemd-update-done,systemd-machine-id-commit}*`]:
      noInstall,
    [`${units}/**{ldconfig,systemd-journal-catalog-update,systemd-sysext,systemd-confext,system-update}*`]:
      noInstall,
    [`${programs}/{systemd-update-done,systemd-sysv-install,catalog/**,system-preset/**,user-preset/**}`]:
      noInstall,
    '/usr/bin/{systemd-firstboot,systemd-sysusers,systemd-hwdb,systemd-sysext,systemd-confext,kernel-install}':
      noInstall,
    '/usr/lib/kernel/**': noInstall,
    [`${programs}/system-generators/systemd-{system-update,rc-local,sysv,gpt-auto}-generator`]: noInstall,
    [`${programs}/system-generators/systemd-run-generator`]: 'no command line has a program to run in it',
    [`${units}/**systemd-tmpfiles-setup-dev-early.service`]:
      'for accounts that are made at the start; here systemd-tmpfiles-setup-dev.service finds them all',
    [`${units}/**{rc-local,runlevel,rpcbind,cryptdisks,hwclock,x11-common,kmod.service,procps.service}*`]:
      noInstall,
    [`${units}/**systemd-{initctl,bsod,storagetm,rfkill,backlight,battery-check}*`]: noHardware,
    [`${programs}/systemd-{initctl,bsod,storagetm,rfkill,backlight}`]: noHardware,
    [`${units}/**{bluetooth,printer,smartcard,sound,storage-target-mode}.target`]: noHardware,
    [`${units}/**{systemd-quotacheck,quotaon,systemd-growfs,systemd-fsck-root,systemd-remount-fs}*`]: noNeed,
    [`${programs}/systemd-{quotacheck,growfs,remount-fs,makefs}`]: noNeed,
    [`${units}/**{binfmt_misc,systemd-binfmt}*`]: 'programs of other machines are not run',
    [`${programs}/systemd-binfmt`]: 'programs of other machines are not run',
    [`${units}/**{dev-hugepages,dev-mqueue,sys-kernel-config,sys-kernel-debug,sys-kernel-tracing,sys-fs-fuse-connections}.mount`]:
      noNeed,
    [`${units}/modprobe@.service`]: 'the kernel asks for modules itself',
    [`${units}/**systemd-{random-seed,network-generator,udev-load-credentials,udev-settle,journal-flush}*`]:
      noNeed,
    [`${programs}/systemd-{random-seed,network-generator}`]: noNeed,
    [`${units}/**systemd-{ask-password-console,ask-password-wall,creds,journald-audit,boot-check-no-failures}*`]:
      noNeed,
    [`${programs}/systemd-boot-check-no-failures`]: noNeed,
    [`${units}/**systemd-networkd-{wait-online,persistent-storage}*`]:
      'an absent WAN must never hold up the boot',
    [`${programs}/systemd-networkd-wait-online`]: 'an absent WAN must never hold up the boot',
    [`${units}/**{getty-static,console-getty,container-getty@}*`]:
      'the serial console has a getty of its own',
    [`${programs}/system-generators/systemd-ssh-generator`]: 'ssh.service serves, and on no other socket',
    [`${programs}/{systemd-ssh-proxy,ssh_config.d/**}`]: 'ssh.service serves, and on no other socket',
    '/etc/ssh/{ssh_config.d,sshd_config.d}/**': 'ssh.service serves, and on no other socket',
    [`${programs}/user-generators/systemd-xdg-autostart-generator`]: 'there is no desktop',
    [`${programs}/systemd-xdg-autostart-condition`]: 'there is no desktop',
    [`${units}/**{initrd-,initrd.target,systemd-volatile-root}*`]: initrdOnly,
    [`${programs}/{systemd-volatile-root,systemd-sysroot-fstab-check}`]: initrdOnly,
    '/usr/lib/udev/rules.d/60-{autosuspend,cdrom_id,dmi-id,drm,evdev,fido-id,infiniband,sensor}.rules':
      noHardware,
    '/usr/lib/udev/rules.d/60-persistent-{alsa,input,v4l,storage-tape}.rules': noHardware,
    '/usr/lib/udev/rules.d/*-{btrfs,camera,joystick,memory,mouse,touchpad,sound-card,seat,seat-late,uaccess,iocost}.rules':
      noHardware,
    '/usr/lib/udev/rules.d/{73-special-net-names,75-probe_mtd,80-debian-compat,81-net-dhcp}.rules':
      noHardware,
    '/usr/lib/udev/{cdrom_id,dmi_memory_id,fido_id,iocost,mtd_probe,v4l_id}': noHardware,
  },
}
