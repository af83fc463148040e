#!/bin/sh
# Puts the claim code of the boot partition where the API's worker looks for it. Empty: the partition has none. Not there:
# nobody could look, and the worker lets nobody be the first.
set -u
result=/run/atomixos/claim-code
folder=$(mktemp -d /run/claim-code.XXXXXX) || exit 0
if ! mount -t vfat -o ro,nodev,nosuid,noexec /dev/atomixos/boot-a "$folder"; then
	rmdir "$folder"
	echo "<3>the boot partition cannot be read: over the network nobody can be the first to configure this device"
	exit 0
fi
umask 077
status=0
if [ -e "$folder/claim-code" ]; then
	head -c 256 "$folder/claim-code" | tr -d '\r\n' >"$result.new" || status=1
else
	: >"$result.new" || status=1
fi
umount "$folder"
rmdir "$folder"
[ "$status" = 0 ] && mv "$result.new" "$result"
exit 0
