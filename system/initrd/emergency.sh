#!/bin/sh
# Tells on the console what failed and what happens now. systemd restarts the machine when this ends.
. /usr/lib/atomixos/initrd.sh

slot=$(argument rauc.slot)
echo
echo "================================================================"
echo " AtomixOS could not start from slot ${slot:-(unknown)}"
[ ! -s /run/atomixos/failure ] || echo " Reason: $(cat /run/atomixos/failure)"
echo " Failed:"
systemctl --state=failed --plain --no-legend --no-pager --full list-units | while read -r unit _; do
  echo "   $unit"
done
echo
echo " The machine restarts in 5 seconds. After three failed starts"
echo " the other slot is tried."
echo "================================================================"
sync
sleep 5
