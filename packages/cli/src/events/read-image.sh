#!/bin/sh
# The first and only process of a small machine: mounts the data partition of the disk it was given, as the device
# itself would, and copies the event log to a disk of its own. Whatever comes of it is said in one line.
PATH=/usr/bin:/usr/sbin
export PATH

end() {
  echo "events: $*"
  sync
  echo o >/proc/sysrq-trigger
  sleep 60
}

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/null >/dev/console 2>&1
modprobe virtio_blk || end "failed: no driver for disks"
# f2fs asks for it by an alias that none of its dependencies name.
modprobe crc32_generic
modprobe f2fs || end "failed: no driver for f2fs"

# The disk that was given is the one with partitions; the other one takes the result.
data=
result=
tries=0
while [ -z "$result" ] || [ -z "$data" ]; do
  for block in /sys/class/block/vd*; do
    [ -e "$block/uevent" ] || continue
    label=
    while IFS='=' read -r key value; do
      if [ "$key" = PARTNAME ]; then label=$value; fi
    done <"$block/uevent"
    if [ "$label" = data ]; then data=/dev/${block##*/}; fi
    if [ -e "$block/serial" ]; then
      read -r serial <"$block/serial" || true
      if [ "$serial" != image ]; then result=/dev/${block##*/}; fi
    fi
  done
  tries=$((tries + 1))
  [ "$tries" -lt 5 ] || break
  [ -n "$result" ] && [ -n "$data" ] || sleep 1
done
[ -n "$result" ] || end "failed: no disk for the result"
[ -n "$data" ] || end "failed: it has no partition \"data\""
mkdir -p /mnt
# What was synced after the last checkpoint of the file system is found again by this mount, as on the device.
reason=$(mount -t f2fs -o noatime,nosuid,nodev,noexec "$data" /mnt 2>&1) || end "failed: $reason"
log=/mnt/logs/events.jsonl
[ -e "$log" ] || [ -e "$log.1" ] || end "none"
for file in "$log.1" "$log"; do
  [ ! -e "$file" ] || cat "$file"
  echo
done >"$result"
end "done"
