#!/bin/sh
# Finds the system disk (the one that the root is on), makes the partitions that are missing on it, and has udev
# name its partitions below $PARTITION_LINKS, from now until the machine stops.
set -eu
. /usr/lib/atomixos/initrd.sh

find_system_disk

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

# A reset that was cut between taking /data out of the table and making a new one: it is finished here.
resetting=no
if [ "$fresh" = no ] && ! has_partition data; then
  resetting=yes
  complain "no /data on $name: finishing the factory reset that was interrupted"
fi

make_partitions no || fail "the partitions of $name could not be made"

udevadm trigger --action=change --parent-match="$disk"
links=
for label in $PARTITION_LABELS; do links="$links $PARTITION_LINKS/$label"; done
# Not quoted: several words.
udevadm wait --timeout=60 $links || fail "$name lacks a partition: not all of$links appeared"
if [ "$fresh" = yes ]; then echo "slot B was missing on $name" >"$FRESH_FLASH_MARKER"; fi
if [ "$resetting" = yes ]; then echo 'finished after an interruption' >"$FACTORY_RESET_MARKER"; fi
