/** What a server knows a device by, from the text of `/sys/class/net/eth0/address`. */
export function parseDeviceId(addressText: string): string | undefined {
  const address = addressText.trim().toLowerCase()
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address)) return undefined
  const id = address.replaceAll(':', '')
  // The kernel shows zeros for an interface that has no address yet.
  return id === '000000000000' ? undefined : id
}
