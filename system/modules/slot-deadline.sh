#!/bin/sh
# A pending slot that is still not confirmed when this runs hangs somewhere, or its verification cannot run at all: it
# is given back to U-Boot, which counts. Nothing but a shell is needed for this.
set -eu
slot=
read -r line </proc/cmdline
for word in $line; do
  case $word in rauc.slot=*) slot=${word#rauc.slot=} ;; esac
done
state=$(fw_printenv -n "SLOT_${slot}_STATE" 2>/dev/null) || state=
[ "$state" = pending ] || exit 0
echo "<3>slot $slot was not confirmed in time; restarting"
sync
systemctl reboot --force
