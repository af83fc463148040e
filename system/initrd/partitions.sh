#!/bin/sh
# Finds the system disk (the one that the root is on), makes the partitions that are missing on it, and has udev
# name its partitions below $PARTITION_LINKS, from now until the machine stops.
set -eu
. /usr/lib/atomixos/initrd.sh

root=$(root_device)
partition=/sys$(udevadm info --query=path --name="$root") || fail "there is no device $root"
[ -e "$partition/partition" ] || fail "$root is not a partition of a disk"
disk=${partition%/*}
name=${disk##*/}
read -r device <"$disk/dev"

has_partition() {
  for entry in "$disk/$name"*/uevent; do
    while read -r line; do
      [ "$line" != "PARTNAME=$1" ] || return 0
    done <"$entry"
  done
  return 1
}

# Other disks may carry partitions of the same names (an SD card or USB stick with the same image): a link leads
# to this disk only. The rule lies in /run and so holds in the system as well.
mkdir -p /run/udev/rules.d
words=
for label in $PARTITION_LABELS; do words=${words:+$words|}$label; done
cat >/run/udev/rules.d/61-atomixos-disk.rules <<RULE
SUBSYSTEM=="block", ENV{ID_PART_ENTRY_DISK}=="$device", ENV{ID_PART_ENTRY_NAME}=="$words", SYMLINK+="${PARTITION_LINKS#/dev/}/\$env{ID_PART_ENTRY_NAME}"
RULE
udevadm control --reload

fresh=no
has_partition rootfs-b || fresh=yes
[ "$fresh" = no ] || say "no slot B on $name: first boot after flashing, making slot B and /data"

# repart formats first and writes the table last, so that a power cut leaves either the old table or all of the new
# one, with a finished file system. It never formats what the table holds already.
# --discard=no: discarding would include the gap before the first partition, where U-Boot is.
# --definitions: of its own accord it would read those of the root that is mounted by now.
systemd-repart --dry-run=no --empty=refuse --discard=no --seed=random \
  --definitions=/usr/lib/repart.d "/dev/$name" >/dev/null ||
  fail "the partitions of $name could not be made"

udevadm trigger --action=change --parent-match="$disk"
links=
for label in $PARTITION_LABELS; do links="$links $PARTITION_LINKS/$label"; done
# Not quoted: several words.
udevadm wait --timeout=60 $links || fail "$name lacks a partition: not all of$links appeared"
if [ "$fresh" = yes ]; then echo "slot B was missing on $name" >"$FRESH_FLASH_MARKER"; fi
