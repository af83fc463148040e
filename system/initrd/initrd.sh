# Shared by the scripts of the initrd. /bin/sh is dash. Everything said goes to the kernel's log; what is said with
# `complain` is an error there and reaches the console even when the boot is quiet.

say() { echo "<6>atomixos: $*" >/dev/kmsg; }
complain() { echo "<3>atomixos: $*" >/dev/kmsg; }
fail() {
  complain "$*"
  echo "$*" >/run/atomixos/failure
  exit 1
}

# Value of a kernel argument, empty when it is not given. The last one wins, as everywhere.
argument() {
  found=
  read -r line </proc/cmdline
  for word in $line; do
    case $word in "$1="*) found=${word#"$1="} ;; esac
  done
  echo "$found"
}

# The partition that holds the root, by whatever name the command line gives it.
root_device() {
  device=$(argument systemd.verity_root_data)
  [ -n "$device" ] || device=$(argument root)
  case $device in PARTUUID=*) device=/dev/disk/by-partuuid/${device#PARTUUID=} ;; esac
  echo "$device"
}
