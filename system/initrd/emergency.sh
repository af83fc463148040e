#!/bin/sh
# Tells on the console what failed and what happens now. systemd restarts the machine when this ends.
. /usr/lib/atomixos/initrd.sh

# What a script of ours found out, else how far the way to the root was gone.
reason() {
  if [ -s /run/atomixos/failure ]; then
    cat /run/atomixos/failure
  elif [ ! -e "$(root_device)" ]; then
    echo "no disk has the root partition $(root_device)"
  elif [ -n "$(argument roothash)" ] && [ ! -e /dev/mapper/root ]; then
    echo "the root partition cannot be verified: its hash tree is missing or damaged"
  elif [ ! -e /sysroot/usr ]; then
    echo "the root file system cannot be mounted"
  else
    echo "see the messages above"
  fi
}

slot=$(argument rauc.slot)
echo
echo "================================================================"
echo " AtomixOS could not start from slot ${slot:-(unknown)}"
echo " Reason: $(reason)"
systemctl --state=failed --plain --no-legend --no-pager --full list-units | while read -r unit _; do
  echo " Failed: $unit"
done
echo
echo " The machine restarts in 5 seconds. After three failed starts"
echo " the other slot is tried."
echo "================================================================"
sync
sleep 5
