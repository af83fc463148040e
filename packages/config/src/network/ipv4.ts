/** IPv4 addresses as numbers. Only the one way of writing them is taken: four decimal numbers, no leading zeros. */

export interface Ipv4Cidr {
  readonly address: number
  readonly prefix: number
}

export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (match === null) return undefined
  let address = 0
  for (const part of match.slice(1)) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith('0'))) return undefined
    address = address * 256 + Number(part)
  }
  return address
}

export function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')
}

export function parseIpv4Cidr(text: string): Ipv4Cidr | undefined {
  const match = /^([\d.]{7,15})\/(\d{1,2})$/.exec(text)
  if (match === null) return undefined
  const address = parseIpv4(match[1]!)
  const prefix = Number(match[2])
  if (address === undefined || prefix > 32 || String(prefix) !== match[2]) return undefined
  return { address, prefix }
}

export function formatIpv4Cidr({ address, prefix }: Ipv4Cidr): string {
  return `${formatIpv4(address)}/${prefix}`
}

export function netmask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0
}

/** First address of the network. */
export function networkAddress({ address, prefix }: Ipv4Cidr): number {
  return (address & netmask(prefix)) >>> 0
}

/** Last address of the network. */
export function broadcastAddress(cidr: Ipv4Cidr): number {
  return (networkAddress(cidr) | ~netmask(cidr.prefix)) >>> 0
}

export function contains(cidr: Ipv4Cidr, address: number): boolean {
  return address >= networkAddress(cidr) && address <= broadcastAddress(cidr)
}

export function overlap(a: Ipv4Cidr, b: Ipv4Cidr): boolean {
  return contains(a, networkAddress(b)) || contains(b, networkAddress(a))
}

/** An address that a machine can have: neither the network itself, nor broadcast, multicast or reserved. */
export function isHostAddress(address: number, prefix: number): boolean {
  const first = address >>> 24
  if (first === 0 || first === 127 || first >= 224) return false
  const cidr = { address, prefix }
  return prefix >= 31 || (address !== networkAddress(cidr) && address !== broadcastAddress(cidr))
}
