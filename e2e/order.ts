import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * What takes longest first: two or three files are run at a time, and none of these should be the last one alone. A fresh
 * checkout has no times of its own to go by. What is not here follows in Vitest's order.
 */
const inOrder = [
  // Unit tests: the first builds U-Boot where nobody has yet.
  ...['firmware.test.ts', 'device.test.ts', 'resolve-lock.test.ts', 'feed.test.ts', 'flash.test.ts'],
  ...['properties.test.ts', 'docs.test.ts', 'hostile-deltas.test.ts', 'config.test.ts'],
  // Stories: those that are the core of it not last, for on a slow host the last ones do not begin any more.
  'power-campaign',
  'rauc-hostile',
  'boot-chain',
  'provisioning',
  'rauc-rollback',
  'rauc-update',
  'rauc-confirm',
  'rauc-power-loss',
  'rauc-watchdog',
  'firewall',
  'operators',
  'rauc-slots',
  'network-isolation',
  'ssh-wan-toggle',
  'api',
  'boot-ui',
  'fresh-flash',
  'feed',
  'registry',
  'usb-update',
  'vm',
  'enrolment',
  'applications',
  'cut-link',
  'naming',
  'logs',
  'clock',
  'rut-oh',
  'forensics',
  'flood',
  'firmware',
  'openvpn',
  'ntp',
]

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = inOrder.indexOf(basename(moduleId, '.e2e.ts'))
      return found === -1 ? inOrder.length : found
    }
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => place(a) - place(b))
  }
}
