import { slots } from '../arguments.ts'
import type { Guest } from '../types.ts'

/**
 * QEMU does not save the PCI side of its SD controller: after a restore the guest finds nothing behind it but ones.
 * So the guest lets go of the controller before it is saved, and finds it anew afterwards.
 */
const address = `0000:00:${slots.sdCard.toString(16).padStart(2, '0')}.0`
const device = `/sys/bus/pci/devices/${address}`

export async function detachSdCard(guest: Guest): Promise<void> {
  await guest.succeed(`sync; echo 1 >${device}/remove`)
}

/** Returns when the card is there again. */
export async function attachSdCard(guest: Guest): Promise<void> {
  await guest.succeed('echo 1 >/sys/bus/pci/rescan')
  await guest.waitUntilSucceeds(`ls ${device}/mmc_host/*/*:*/block/*/dev`, { timeoutMs: 60_000 })
}
