#!/bin/sh
# Puts the claim code where the API's worker looks for it. Empty: there is none. Not there: nobody could look, and the
# worker lets nobody be the first.
#
# The code of the boot partition counts, and is copied to /data: the update after the next one writes that partition anew,
# and a device that waits for its first configuration must not become anybody's with it. Without a code there the copy
# counts. What replaces a code is another one on the boot partition; what takes it away is to flash anew.
set -u
result=/run/atomixos/claim-code
kept=/data/identity/claim-code
folder=$(mktemp -d /run/claim-code.XXXXXX) || exit 0
umask 077
status=0
if mount -t vfat -o ro,nodev,nosuid,noexec /dev/atomixos/boot-a "$folder"; then
	if [ -e "$folder/claim-code" ]; then
		head -c 256 "$folder/claim-code" | tr -d '\r\n' >"$result.new" || status=1
	else
		: >"$result.new" || status=1
	fi
	umount "$folder"
else
	status=1
fi
rmdir "$folder"
if [ "$status" = 0 ] && [ -s "$result.new" ]; then
	if [ "$(cat "$result.new")" != "$(cat "$kept" 2>/dev/null)" ]; then
		# Whole or not at all, whenever the power fails.
		cp "$result.new" "$kept.new" && sync "$kept.new" && mv "$kept.new" "$kept" && sync "${kept%/*}" ||
			echo "<3>the claim code cannot be kept on /data: an update may lose it"
	fi
elif [ -s "$kept" ]; then
	status=0
	cat "$kept" >"$result.new" || status=1
elif [ -e "$kept" ]; then
	# There was one, and nobody knows it any more.
	status=1
fi
[ "$status" = 0 ] && mv "$result.new" "$result" && exit 0
rm -f "$result.new"
echo "<3>it is not known whether there is a claim code: over the network nobody can be the first to configure this device"
exit 0
