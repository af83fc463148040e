/** What bounds a download, so that no server can harm the device. */
export interface DownloadLimits {
  readonly sizeBytesMax: number
  /** Must stay free on the disk, for everything else that writes there. */
  readonly reserveBytes: number
  /** Nothing came for so long. */
  readonly idleMs: number
  /** Average over the window; below it a server only trickles. */
  readonly bytesPerSMin: number
  readonly rateWindowMs: number
  /** One run of the download; a later one goes on with what is there. */
  readonly overallMs: number
  /** Written to the disk for good, and free space looked at, each time so much has come. */
  readonly syncEveryBytes: number
}

export const downloadLimits: DownloadLimits = {
  sizeBytesMax: 1 << 30,
  reserveBytes: 256 << 20,
  idleMs: 60_000,
  bytesPerSMin: 4096,
  rateWindowMs: 5 * 60_000,
  overallMs: 24 * 3_600_000,
  syncEveryBytes: 16 << 20,
}
