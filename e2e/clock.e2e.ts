/** A board whose clock starts at the beginning of the century: no earlier than its build, no earlier than last seen. */
import { bootTries } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, waitUntilUp } from './gateway.ts'
import { gatewayOptions, manifest, storyDir, thoroughly } from './setup.ts'

describe('clock', () => {
  let gateway: Machine
  const daySeconds = 24 * 3600

  beforeAll(async () => {
    gateway = await createMachine(
      gatewayOptions(await storyDir('clock'), {
        // No way to a time server either.
        nics: [{ kind: 'user', restricted: true }],
        extraArguments: ['-rtc', 'base=2000-01-01T00:00:00'],
      }),
    )
    await gateway.start()
    await up()
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
  })

  /** Up, and the try that it took given back: three quick cuts would cost an unconfirmed slot its place. */
  async function up(): Promise<void> {
    await waitUntilUp(gateway)
    await gateway.waitUntilSucceeds(`test "$(fw_printenv -n BOOT_A_LEFT)" = ${bootTries.pending}`)
  }

  const now = async () => Number(await gateway.succeed('date +%s'))

  test('the first start is at the time of the build', async () => {
    expect(await now()).toBeGreaterThanOrEqual(manifest.sourceDateEpoch)
    expect(await now()).toBeLessThan(manifest.sourceDateEpoch + daySeconds)
  })

  test('the next one goes on from the last orderly stop, before anything needs a certificate', async () => {
    const later = manifest.sourceDateEpoch + 100 * daySeconds
    await gateway.succeed(`date -s @${later}`)
    await gateway.reboot({ timeoutMs: bootMs })
    await up()
    expect(await now()).toBeGreaterThanOrEqual(later)
    expect(await now()).toBeLessThan(later + daySeconds)
    expect(await gateway.succeed('journalctl -b -k -o cat')).toContain(
      'the clock was behind, it goes on from when the device was last seen',
    )
  })

  test('what is noted once an hour counts after a power cut', async () => {
    const later = manifest.sourceDateEpoch + 200 * daySeconds
    await gateway.succeed(`date -s @${later}; systemctl start last-seen-time-note; sync`)
    await gateway.crash()
    await gateway.start()
    await up()
    expect(await now()).toBeGreaterThanOrEqual(later)
  })

  test.each(thoroughly)('a time that nobody can believe is not taken', async () => {
    await gateway.succeed('echo 99999999999 >/data/identity/last-seen-time; sync')
    await gateway.crash()
    await gateway.start()
    await up()
    expect(await now()).toBeLessThan(manifest.sourceDateEpoch + 300 * daySeconds)
  })
})
