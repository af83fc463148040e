/** What builder, device and tests agree on about updates. */

/** RAUC's `compatible`: a bundle for another board is refused. */
export function bundleCompatible(board: string): string {
  return `atomixos-${board}`
}

/**
 * In each bundle beside the images, and vouched for by its hash tree like them: what RAUC's manifest says of the bundle
 * too, for the program that has the last word on the device. RAUC does not hand its manifest on.
 */
export const releaseFileName = 'release.json'

export interface ReleaseFile {
  readonly compatible: string
  readonly version: string
}

/** Authorities that bundles are signed under, and their revocation lists. */
export const keyringPath = '/etc/rauc/keyring.pem'

/**
 * Boots that a slot gets. A pending slot has little time to prove itself. A confirmed one may be cut off again and
 * again by somebody at the plug and keeps its place, yet ends when it cannot boot at all.
 */
export const bootTries = { pending: 3, confirmed: 9 } as const

/** Everything about updates that persists. */
export const updateFolder = '/data/update'

/** Version, reason and time of each slot's state, versions that failed, and how healthy the system was before. */
export const slotRecordsPath = `${updateFolder}/slots.json`

export const bundleDownloadPath = `${updateFolder}/bundle.raucb`

/** What makes a bundle out of the running system; it is gone when the bundle is there. */
export const deltaDownloadPath = `${updateFolder}/bundle.delta`

/** What came from a USB stick, while it is installed. */
export const usbBundlePath = `${updateFolder}/usb.raucb`
export const usbDeltaPath = `${updateFolder}/usb.delta`

/** The delta that did not lead to its bundle, and why: it is not tried again. */
export const deltaRefusedPath = `${updateFolder}/delta-refused.json`

/** In how many rounds nothing of a delta came. A restart forgets it. */
export const deltaRoundsPath = '/run/atomixos/delta-rounds.json'

/**
 * PEM, made by hand: further authorities that the update server's certificate may come from, for servers without a
 * public one.
 */
export const serverAuthoritiesPath = `${updateFolder}/server-ca.pem`

/** One name per line: what a roll-out may call this device by. */
export const deviceLabelsPath = `${updateFolder}/labels`

/** Which channels were followed, up to which number: an older one is refused, and none at all too. */
export const channelRecordsPath = `${updateFolder}/channels.json`

/** What came of the last look for an update. Not worth a write to the flash each hour. */
export const lastLookPath = '/run/atomixos/last-look.json'

/**
 * `download_kib_per_second` in the operator's settings. Slower, and a bundle would not come within the day that a download
 * may take; a server's trickle could not be told from our own limit, either.
 */
export const downloadRateKib = { min: 32, max: 1 << 20 } as const

/** One JSON object per line: slots, installs, confirmations, rollbacks. */
export const eventLogPath = '/data/logs/events.jsonl'

/** What an update server is asked: `GET <server><path>`; it answers `version` and `bundle_url`. */
export const updateApi = {
  latestPath: '/api/v1/updates/latest',
  /** eth0's MAC, 12 lower-case hexadecimal digits. */
  deviceIdHeader: 'X-Device-ID',
  versionHeader: 'X-Current-Version',
} as const

/** Why the pre-install handler refused; RAUC tells only that it did. */
export const bundleRefusedPath = '/run/atomixos/bundle-refused'

/** Holds the version that somebody asked for by hand, although it is older or was given up; for one installation. */
export const bundleAllowedMarkerPath = '/run/atomixos/bundle-allowed'
