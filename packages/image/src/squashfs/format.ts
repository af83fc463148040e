/**
 * Constants of squashfs 4.0, from the kernel's fs/squashfs/squashfs_fs.h. All numbers on disk are little-endian.
 */

export const superblockBytes = 96
/** Metadata (inodes, directory listings, tables) is compressed in pieces of this size. */
export const metadataBlockBytes = 8192
/** In the two bytes before a metadata block: what follows is stored as it is. */
export const metadataStoredFlag = 0x8000
/** In the length of a data or fragment block: stored as it is. A length of 0 is a hole. */
export const dataStoredFlag = 1 << 24
export const noFragment = 0xffffffff
export const noXattrs = 0xffffffff
/** For a table that is not there. */
export const noTable = 0xffffffffffffffffn

export const compressorZstd = 6

export const superblockFlags = {
  duplicatesRemoved: 0x40,
  exportable: 0x80,
  noXattrs: 0x200,
  compressorOptions: 0x400,
} as const

/** The extended form of each type is `basic + 7`. */
export const inodeTypes = {
  directory: 1,
  file: 2,
  symlink: 3,
  block: 4,
  char: 5,
  fifo: 6,
} as const

export const extendedInode = 7

/** A directory header holds at most this many entries. */
export const directoryHeaderEntries = 256
/** Names longer than this have no place in a directory entry. */
export const nameBytesMax = 256
/** The kernel adds 3 to the length of every listing, for the `.` and `..` that are not stored. */
export const listingExtraBytes = 3

export const xattrPrefixes = [
  ['user.', 0],
  ['trusted.', 1],
  ['security.', 2],
] as const
