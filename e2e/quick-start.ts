/**
 * What docs/quick-start.md has a person type. The story `vm` types these very words, and a test compares them with the
 * page: the quick start cannot promise what nobody has run.
 */
export const quickStart = {
  /** What `./atomixos e2e` does before it tells any story. */
  build: './atomixos build',
  /** The story puts a name behind it, so that it meets no disk of a person. */
  vm: './atomixos vm --keep',
  first: ['atomixctl status', 'echo still-$((40 + 2)) | tee /data/note; sync; poweroff'],
  second: ['cat /data/note'],
  /** What the screen shows, in this order; the page quotes it. */
  shown: {
    port: /127\.0\.0\.1:\d+ leads to port 22 of the device/,
    leave: /Ctrl-\] ends the machine/,
    selector: /ab: try slot A/,
    status: /Running +slot A \(first boot after flashing\)/,
    note: /still-42/,
  },
} as const
