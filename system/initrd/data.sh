#!/bin/sh
# Mounts /data for the system and gives the system its machine id.
set -eu
. /usr/lib/atomixos/initrd.sh

device_link=$PARTITION_LINKS/data
target=/sysroot$DATA_MOUNT_POINT
identity=$target/identity

# Leaves in $reason why it could not.
# 64 MiB that applications cannot fill are root's: for events, records of slots, a configuration that is taken back.
mount_data() { reason=$(mount -t f2fs -o noatime,reserve_root=16384,X-mount.mkdir "$device_link" "$target" 2>&1); }

is_mounted() {
  while read -r _ where _; do [ "$where" != "$target" ] || return 0; done </proc/mounts
  return 1
}

unavailable() {
  # mount goes on with advice in further lines.
  reason=${reason%%
*}
  complain "/data is not available: $reason"
  complain "booting without it: no configuration, no users, no containers. What is on it was left as it is."
  echo "$reason" >"$DATA_UNAVAILABLE_MARKER"
  # Nothing may take an empty folder for an empty /data and start anew in it.
  mount -t tmpfs -o ro,nosuid,nodev,noexec,mode=0555,X-mount.mkdir data-unavailable "$target"
}

# The partition leaves the table first, and the file system with the mark in it: until then everything is there and the
# next start begins anew, from then on nothing is. The new one is made as at the first boot: formatted, then entered. So
# there is no moment of half a /data.
reset_data() {
  complain "an administrator asked for a factory reset: making a new /data"
  umount "$target" || return 1
  find_system_disk
  make_partitions yes || return 1
  udevadm trigger --action=change --parent-match="$disk"
  udevadm settle --timeout=60
  udevadm wait --timeout=60 "$device_link" || return 1
  echo 'an administrator asked for it' >"$FACTORY_RESET_MARKER"
}

# f2fs replays its own log when it is mounted; a check is needed only when that fails.
if mount_data; then
  available=yes
elif [ "$(udevadm info --query=property --property=ID_FS_TYPE --value --name="$device_link")" = f2fs ]; then
  complain "/data cannot be mounted, repairing it: $reason"
  fsck.f2fs -f -y "$device_link" >/dev/kmsg 2>&1 || complain "fsck.f2fs could not repair all of it"
  if mount_data; then available=yes; else available=no; fi
else
  # The partition was formatted before it was entered into the table, so it once was f2fs. It is not ours to make again.
  reason='it holds no f2fs file system'
  available=no
fi

if [ "$available" = yes ] && [ -e "/sysroot$FACTORY_RESET" ]; then
  # A device that starts with what it had is better than one that does not start; it tries again at the next start.
  reset_data || complain "the factory reset did not come to its end"
  if ! is_mounted && ! mount_data; then available=no; fi
fi

id=
if [ "$available" = yes ]; then
  if [ -s "$identity/machine-id" ]; then read -r id <"$identity/machine-id" || true; fi
  case $id in
  *[!0-9a-f]*) id= ;;
  esac
  if [ ${#id} != 32 ]; then
    # Waits until the kernel's random numbers are good: a board that was just flashed has little to draw from.
    read -r _ </dev/random || true
    id=$(systemd-id128 new)
    mkdir -p "$identity"
    echo "$id" >"$identity/machine-id.new"
    sync "$identity/machine-id.new"
    mv "$identity/machine-id.new" "$identity/machine-id"
    sync "$identity" "$target"
    say "made the machine id $id"
  fi
else
  unavailable
  # For this boot only.
  id=$(systemd-id128 new)
fi
# A board without a clock battery starts at the time of the build. It was running later than that already: no
# certificate is judged, and nothing is dated, before the time that was last seen. What is decades away is not believed.
if [ "$available" = yes ] && [ -s "/sysroot$LAST_SEEN_TIME" ]; then
  read -r seen <"/sysroot$LAST_SEEN_TIME" || true
  case $seen in
  '' | *[!0-9]* | ???????????*) ;;
  *)
    now=$(date +%s)
    if [ "$seen" -gt "$now" ] && [ "$seen" -lt $((now + 630720000)) ]; then
      date -s "@$seen" >/dev/null && say "the clock was behind, it goes on from when the device was last seen"
    fi
    ;;
  esac
fi

# Present before systemd starts for the second time, so that it never takes this for a first boot of its own kind,
# which would enable units by preset.
echo "$id" >/sysroot/etc/machine-id
