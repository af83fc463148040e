/** What builder, device and tests agree on about logs on /data. docs/logs.md has the reasons for each number. */

/** Of rsyslog alone: it may write nowhere else. */
export const systemLogFolder = '/data/logs/system'

/** The newest; older ones are `system.log.1` and on. */
export const systemLogPath = `${systemLogFolder}/system.log`

export const systemLog = {
  /** A file that reaches this is put aside. */
  fileBytesMax: 8 << 20,
  /** Put-aside files that are kept, beside the newest. */
  olderFiles: 5,
  /** One write to the file, unless the interval ends before it is full. */
  bufferBytes: 128 << 10,
  flushIntervalS: 300,
  /** All services together; what is more is counted, and is in the journal. */
  messagesMax: 20_000,
  messagesMaxIntervalS: 600,
} as const

/** In memory; the oldest go first. */
export const journalBytesMax = 32 << 20
