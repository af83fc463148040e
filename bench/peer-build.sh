#!/bin/bash
# Inside the tools tree, as root: the packages of /repo to /out/rootfs.squashfs, without their maintainer scripts.
# Arguments: level, source date, package names separated by commas.
set -euo pipefail
export SOURCE_DATE_EPOCH="$2" PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8
mmdebstrap --mode=root --variant=extract --format=tar --architectures=arm64 --skip=check/qemu --quiet \
  --include="$3" trixie - 'deb [trusted=yes] copy:/repo ./' |
  mksquashfs - /out/rootfs.squashfs -tar -noappend -quiet -no-progress -comp zstd -b 1M \
    -Xcompression-level "$1" -root-mode 755 -root-uid 0 -root-gid 0
# The sandbox's own process does not wait for its children in a way that adds up their times.
times > /out/times
