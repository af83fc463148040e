#!/bin/sh
# Prints the name of a USB Ethernet adapter, for a rule of udev: the first of eth1, eth2... that is free, and as
# long as the machine runs the same one again for what is plugged into the same port. eth0 is the onboard adapter's,
# even where it is broken: WAN rules must never meet the LAN.
set -eu
names=/run/atomixos/usb-ethernet
port=${ID_PATH:-$DEVPATH}
mkdir -p "$names"
number=1
while true; do
  name=eth$number
  [ "$(readlink "$names/$name")" != "$port" ] || break
  if [ "$INTERFACE" = "$name" ] || [ ! -e "/sys/class/net/$name" ]; then
    # Making the link is the reservation: adapters that appear together ask at the same time.
    ! ln -s "$port" "$names/$name" 2>/dev/null || break
  fi
  number=$((number + 1))
done
echo "$name"
