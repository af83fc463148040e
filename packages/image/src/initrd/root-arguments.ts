/** dm-verity's tree lies behind the squashfs in the same partition, in veritysetup's format with a superblock. */
export interface VerityRoot {
  /** Root hash, lower-case hexadecimal. */
  readonly roothash: string
  /** Where the superblock begins in the partition; a multiple of 512. */
  readonly hashOffsetBytes: number
}

/** U-Boot puts the id of the chosen slot's root partition in its place. */
export const rootUuidPlaceholder = `\${root_uuid}`

/**
 * The kernel arguments that make the initrd mount a slot's root: a squashfs, verified block by block when `verity`
 * is given, with a tmpfs above it.
 *
 * Damage that is found later panics instead of failing reads: a system that runs on with unreadable programs may
 * look alive for ever, while a restart lets the boot counter choose. A panic and not dm-verity's own restart,
 * since that one shuts devices down in order and may wait for the very reads that failed. Needs `panic=` (seconds)
 * on the command line, or the machine stops there.
 */
export function rootArguments(verity?: VerityRoot): string[] {
  const partition = `PARTUUID=${rootUuidPlaceholder}`
  const common = ['rootfstype=squashfs', 'ro', 'systemd.volatile=overlay']
  if (verity === undefined) return [`root=${partition}`, ...common]
  if (!/^[0-9a-f]{64}$/.test(verity.roothash)) throw new Error(`not a SHA-256 root hash: ${verity.roothash}`)
  if (verity.hashOffsetBytes % 512 !== 0)
    throw new Error(`hash offset ${verity.hashOffsetBytes} is not a sector`)
  return [
    `roothash=${verity.roothash}`,
    `systemd.verity_root_data=${partition}`,
    `systemd.verity_root_hash=${partition}`,
    `systemd.verity_root_options=hash-offset=${verity.hashOffsetBytes},panic-on-corruption`,
    ...common,
  ]
}
