import { basename } from 'node:path'

/** Which pages the site has, and in which order its menu shows them. A page of docs/ that is in none is a problem. */
export interface Section {
  readonly title: string
  /** Markdown of this repository, or the name of a page that is generated (`generated.ts`). */
  readonly pages: readonly string[]
}

export const sections: readonly Section[] = [
  { title: 'Start', pages: ['README.md', 'docs/quick-start.md', 'docs/overview.md', 'docs/lima.md'] },
  {
    title: 'Run devices',
    pages: [
      'docs/flash.md',
      'docs/provisioning.md',
      'docs/config.md',
      'docs/applications.md',
      'docs/api.md',
      'docs/network.md',
      'docs/operations.md',
      'docs/logs.md',
      'docs/fleet.md',
      'docs/recovery.md',
      'docs/serial-recovery.md',
    ],
  },
  {
    title: 'Update devices',
    pages: [
      'docs/roll-out.md',
      'docs/updates.md',
      'docs/feed.md',
      'docs/usb.md',
      'docs/bundles.md',
      'docs/keys.md',
      'docs/releasing.md',
    ],
  },
  {
    title: 'Understand it',
    pages: [
      'ARCHITECTURE.md',
      'docs/security-model.md',
      'docs/firmware.md',
      'docs/boot.md',
      'docs/image-contents.md',
      'docs/lock.md',
    ],
  },
  {
    title: 'Trust it',
    pages: ['docs/trust.md', 'docs/hardware-tests.md', 'docs/campaign.md', 'docs/machine.md'],
  },
  {
    title: 'Look it up',
    pages: [
      'docs/reference-commands.md',
      'docs/reference-config.md',
      'docs/reference-device.md',
      'docs/reference-disk.md',
      'docs/reference-ports.md',
      'docs/reference-units.md',
      'docs/reference-packages.md',
    ],
  },
  { title: 'Take part', pages: ['CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'] },
]

/** `docs/flash.md` becomes `flash.html`, README.md the first page. All pages lie in one folder, so links work anywhere. */
export function outputName(page: string): string {
  const name = basename(page, '.md').toLowerCase()
  return name === 'readme' ? 'index.html' : `${name}.html`
}
