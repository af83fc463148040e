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

# The disk that the root is on: $disk is its folder below /sys, $name what it is called, $device its numbers.
find_system_disk() {
  root=$(root_device)
  partition=/sys$(udevadm info --query=path --name="$root") || fail "there is no device $root"
  [ -e "$partition/partition" ] || fail "$root is not a partition of a disk"
  disk=${partition%/*}
  name=${disk##*/}
  read -r device <"$disk/dev"
}

has_partition() {
  for entry in "$disk/$name"*/uevent; do
    while read -r line; do
      [ "$line" != "PARTNAME=$1" ] || return 0
    done <"$entry"
  done
  return 1
}

# Makes what the table does not have. repart formats first and writes the table last, so that a power cut leaves either
# the old table or all of the new one, with a finished file system. It never formats what the table holds already.
# --discard=no: discarding would include the gap before the first partition, where U-Boot is.
# --definitions: of its own accord it would read those of the root that is mounted by now.
make_partitions() {
  systemd-repart --dry-run=no --empty=refuse --discard=no --seed=random --factory-reset="$1" \
    --definitions=/usr/lib/repart.d "/dev/$name" >/dev/null
}
