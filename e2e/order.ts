import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * What takes longest, longest first: two or three files are run at a time, and none of these should be the last one alone. A
 * fresh checkout has no times of its own to go by. What is not here follows in Vitest's order.
 */
const longest = [
  // Unit tests: the first builds U-Boot where nobody has yet.
  ...['firmware.test.ts', 'device.test.ts', 'resolve-lock.test.ts', 'feed.test.ts', 'flash.test.ts'],
  ...['properties.test.ts', 'docs.test.ts', 'hostile-deltas.test.ts', 'config.test.ts'],
  // Stories.
  'power-campaign',
  'rauc-hostile',
  'boot-chain',
  'provisioning',
  'rauc-rollback',
  'operators',
  'rauc-update',
  'api',
  'rauc-confirm',
  'rauc-power-loss',
  'boot-ui',
  'vm',
  'rauc-watchdog',
  'registry',
  'firewall',
  'usb-update',
  'feed',
  'cut-link',
  'applications',
  'ssh-wan-toggle',
  'enrolment',
  'ntp',
  'naming',
  'rauc-slots',
  'network-isolation',
  'flood',
  'logs',
  'rut-oh',
  'forensics',
  'clock',
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = longest.indexOf(basename(moduleId, '.e2e.ts'))
      return found === -1 ? longest.length : found
    }
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => place(a) - place(b))
  }
}
