#!/bin/sh
# dnsmasq tells of leases: what happened (add, old, del), the hardware address, the IP address. Each machine of the LAN
# gets its name after its hardware; dnsmasq reads the folder again by itself. Whatever name the machine claims to
# have plays no part.
set -eu
names=/run/atomixos/lan-names
case $1 in
add | old) ;;
del)
  rm -f "$names/$3"
  exit 0
  ;;
*) exit 0 ;;
esac
{
  read -r pattern
  read -r domain
} </run/atomixos/network/hostname-pattern
mac=$(echo "$2" | tr -d :)
case $mac in *[!0-9a-f]*) exit 0 ;; esac
name=$(echo "$pattern" | sed "s/{mac}/$mac/g")
echo "$3 $name.$domain $name" >"$names/.$3"
mv "$names/.$3" "$names/$3"
