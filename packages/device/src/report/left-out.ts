/** Of the file in a report that says what the report does not have. */
export const leftOutName = 'left-out.txt'

export interface ItemRemarks {
  readonly name: string
  /** Places from which something was taken out. */
  readonly removed: number
  readonly cut: boolean
  /** Why it is not there, or may not be whole. */
  readonly missing: string | undefined
}

/** Never asked for, whatever a device has. */
const neverIn = [
  'settings: config.toml, its files/ and all that is made of them',
  'keys: SSH host keys, the identity of the device, keys of VPNs, private keys of certificates',
  'passwords and their hashes (/etc/shadow), claim codes, nonces',
  'environments, secrets and volumes of containers',
  'secrets of Wi-Fi and VPN',
]

/** For who reads a report, and for who passes it on. Pure. */
export function renderLeftOut(items: readonly ItemRemarks[]): string {
  const list = (title: string, lines: readonly string[]) => [
    title,
    ...(lines.length === 0 ? ['  nothing'] : lines.map((line) => `  ${line}`)),
    '',
  ]
  return [
    ...list('Not in this report, on purpose:', neverIn),
    ...list(
      'Taken out of what programs have said ("[removed]" stands there; public SSH keys are shortened):',
      items.filter(({ removed }) => removed > 0).map(({ name, removed }) => `${name}: ${places(removed)}`),
    ),
    ...list(
      'Too long, so that only a part is there:',
      items.filter(({ cut }) => cut).map(({ name }) => name),
    ),
    ...list(
      'Could not be had, or not in full:',
      items.flatMap(({ name, missing }) => (missing === undefined ? [] : [`${name}: ${missing}`])),
    ),
    'A secret that looks like any other word, and is called nothing, is not found: look before you pass this on.',
    '',
  ].join('\n')
}

function places(count: number): string {
  return count === 1 ? '1 place' : `${count} places`
}
