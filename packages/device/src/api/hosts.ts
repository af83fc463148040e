import type { IncomingHttpHeaders } from 'node:http'
import type { DeviceState } from './questions.ts'

/**
 * Whether a browser may have been led here under a name of somebody else's (DNS rebinding): what is asked for has to be an
 * address of this device, or a name that only this device's own DNS gives it. Through a tunnel it is `localhost`. Pure.
 */
export function isOurHost(
  host: string | undefined,
  { localAddress, names }: { readonly localAddress: string } & Pick<DeviceState, 'names'>,
): boolean {
  const name = /^([A-Za-z0-9.-]{1,255})(?::[0-9]{1,5})?$/.exec(host ?? '')?.[1]?.toLowerCase()
  if (name === undefined) return false
  return [localAddress, '127.0.0.1', 'localhost', ...names.map((own) => own.toLowerCase())].includes(name)
}

/** IPv4 as it is written, also where the socket calls it by its IPv6 form. */
export function plainAddress(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:/, '')
}

/**
 * Whether a page of another origin has made the browser send this. Programs send no Origin; browsers always do with what
 * changes something. Pure.
 */
export function isForeign({ origin, host, ...headers }: IncomingHttpHeaders): boolean {
  if (origin !== undefined) return origin.toLowerCase() !== `http://${host ?? ''}`.toLowerCase()
  const site = headers['sec-fetch-site']
  return site !== undefined && site !== 'same-origin' && site !== 'none'
}

/** Whether a form was sent from a page of ours, said by the browser in one of the ways there are. Pure. */
export function isFromOurPage(headers: IncomingHttpHeaders): boolean {
  if (isForeign(headers)) return false
  if (headers.origin !== undefined || headers['sec-fetch-site'] === 'same-origin') return true
  return headers.referer?.toLowerCase().startsWith(`http://${headers.host ?? ''}/`.toLowerCase()) ?? false
}
