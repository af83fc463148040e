/**
 * The bundles that the stories install, as changes to the board: `./atomixos e2e` builds them with the very code that
 * builds the product. Declarations only.
 */
import type { boards } from '@atomixos/system'

export type Board = (typeof boards)[string]
type Module = Board['rootfs']['modules'][number]

export interface BundleFixture {
  readonly version: string
  /** What is different from the product. */
  readonly change?: (board: Board) => Board
  /** Done to the images after they were built, before they are signed. */
  readonly spoil?: 'other-rootfs' | 'damaged-rootfs' | 'tiny'
  /** Who signs; default: the development signer that the image trusts. */
  readonly signer?: 'revoked' | 'expired' | 'other-authority' | 'not-for-code' | 'nobody'
  /** Default: the product's. */
  readonly forBoard?: string
  readonly format?: 'plain'
}

const bundles = {
  /** The next release: nothing differs but the version. */
  next: { version: '0.2.0' },
  panic: {
    version: '0.2.1',
    // The kernel finds no first process in the initrd, and no root it could mount by itself.
    change: withKernelArgument('rdinit=/nothing-here'),
  },
  hang: {
    version: '0.2.2',
    change: (board) => ({
      ...board,
      initrd: withModules(board.initrd, (modules) => [...modules, hangingModule]),
    }),
  },
  'no-root': { version: '0.2.3', spoil: 'other-rootfs' },
  'damaged-root': { version: '0.2.4', spoil: 'damaged-rootfs' },
  'broken-service': {
    version: '0.2.5',
    change: withFile('time', '/etc/chrony/chrony.conf', 'no such directive\n'),
  },
  'no-containers': {
    version: '0.2.6',
    change: (board) => ({
      ...board,
      rootfs: withModules(board.rootfs, (modules) =>
        modules.map((module) =>
          module.name === 'containers'
            ? {
                ...module,
                leaveOut: { ...module.leaveOut, '/usr/bin/crun{,-wasm}': 'so that no container starts' },
              }
            : module,
        ),
      ),
    }),
  },
  unsigned: { version: '0.2.0', signer: 'nobody' },
  'other-authority': { version: '0.2.0', signer: 'other-authority' },
  expired: { version: '0.2.0', signer: 'expired' },
  revoked: { version: '0.2.0', signer: 'revoked' },
  'not-for-code': { version: '0.2.0', signer: 'not-for-code' },
  'other-board': { version: '0.2.0', forBoard: 'toaster' },
  plain: { version: '0.2.0', format: 'plain' },
  older: { version: '0.0.9' },
  /** Properly signed, with images of some kilobytes: to be refused, quickly, hundreds of times. */
  tiny: { version: '0.2.0', spoil: 'tiny' },
} as const satisfies Readonly<Record<string, BundleFixture>>

export type BundleName = keyof typeof bundles

export const bundleFixtures: Readonly<Record<BundleName, BundleFixture>> = bundles

/** Channel files of a feed (docs/feed.md) that has the bundle `next` at `feedBundlePath`. */
export interface ChannelFixture {
  readonly sequence: number
  readonly percent: number
  readonly halted?: string
  /** Labels of devices that take it at once. */
  readonly canaries?: readonly string[]
  readonly expired?: true
  /** From the product's version to `next`. */
  readonly delta?: DeltaName
  /** Who signs; default: the development signer that the image trusts. */
  readonly signer?: 'revoked'
}

/** Below the address of the server. */
export const feedBundlePath = 'bundles/next.raucb'
export const feedDeltaPath = 'deltas/next.delta'

/** What a publisher would make; and one that is named properly in a signed channel, and leads nowhere. */
export const deltaNames = ['next-delta', 'next-delta-spoiled'] as const

export type DeltaName = (typeof deltaNames)[number]

export function isDeltaName(name: FixtureName): name is DeltaName {
  return deltaNames.some((delta) => delta === name)
}

/** Everything that is built for stories. */
export type FixtureName = BundleName | ChannelName | DeltaName

const channels = {
  'channel-6': { sequence: 6, percent: 100 },
  'channel-7-halted': { sequence: 7, percent: 100, halted: 'devices lose their LAN', canaries: ['lab'] },
  'channel-8-nobody': { sequence: 8, percent: 0, canaries: ['lab'] },
  'channel-9-spoiled': { sequence: 9, percent: 100, delta: 'next-delta-spoiled' },
  'channel-10': { sequence: 10, percent: 100, delta: 'next-delta' },
  'channel-11-expired': { sequence: 11, percent: 100, expired: true },
  'channel-12-revoked': { sequence: 12, percent: 100, signer: 'revoked' },
} as const satisfies Readonly<Record<string, ChannelFixture>>

export type ChannelName = keyof typeof channels

export const channelFixtures: Readonly<Record<ChannelName, ChannelFixture>> = channels

export function isChannelName(name: FixtureName): name is ChannelName {
  return Object.hasOwn(channels, name)
}

/** Which story needs which; all of a story's files are there when it is told whole. */
const bundlesOfStory: Readonly<Record<string, readonly FixtureName[]>> = {
  feed: [
    ...(['next', 'next-delta', 'next-delta-spoiled', 'channel-6', 'channel-7-halted'] as const),
    ...(['channel-8-nobody', 'channel-9-spoiled', 'channel-10'] as const),
    ...(['channel-11-expired', 'channel-12-revoked'] as const),
  ],
  'usb-update': ['next', 'next-delta', 'channel-10', 'other-authority', 'revoked', 'other-board'],
  'cut-link': ['next', 'channel-6', 'channel-7-halted'],
  'rauc-update': ['next'],
  'rauc-rollback': [
    ...(['next', 'panic', 'hang', 'no-root'] as const),
    ...(['damaged-root', 'broken-service', 'no-containers'] as const),
  ],
  'rauc-confirm': ['next'],
  'rauc-power-loss': ['next'],
  'power-campaign': ['next'],
  'rauc-watchdog': ['next'],
  // They start from a device in the field, which has it lying there.
  firewall: ['next'],
  'network-isolation': ['next'],
  'ssh-wan-toggle': ['next'],
  operators: ['next'],
  registry: ['next'],
  enrolment: ['next'],
  ntp: ['next'],
  openvpn: ['next'],
  flood: ['next'],
  forensics: ['next'],
  applications: ['next'],
  'rauc-hostile': [
    ...(['next', 'unsigned', 'other-authority', 'expired', 'revoked', 'not-for-code'] as const),
    ...(['other-board', 'plain', 'older', 'tiny'] as const),
  ],
}

/** Where a story that is told in part needs fewer. */
const bundlesOfPart: Readonly<Record<string, readonly FixtureName[]>> = {
  'rauc-rollback': ['next', 'panic'],
}

/** What is built for a story. */
export function bundlesFor(
  story: string,
  { thorough }: { readonly thorough: boolean },
): readonly FixtureName[] {
  return (thorough ? undefined : bundlesOfPart[story]) ?? bundlesOfStory[story] ?? []
}

/** Images of containers, as archives that a configuration's bundle carries: packages/image/src/container-image/images.ts. */
export type AppImageName = 'busybox' | 'caddy'

/** Which story needs which of them. */
export const imagesOfStory: Readonly<Record<string, readonly AppImageName[]>> = {
  applications: ['busybox', 'caddy'],
}

/** Examples of the documents, packed with the images that they name: docs/examples/NAME. */
export type ExampleName = 'proxy'

export const examplesOfStory: Readonly<Record<string, readonly ExampleName[]>> = {
  applications: ['proxy'],
}

/** Stories that look at pages with a browser. */
export const browserStories: ReadonlySet<string> = new Set(['boot-ui'])

const hangingModule: Module = {
  name: 'hanging',
  keep: {},
  units: {
    'hang.service': {
      Unit: { DefaultDependencies: false, Before: 'sysroot.mount' },
      Service: { Type: 'oneshot', ExecStart: '/usr/bin/sleep infinity', TimeoutStartSec: 'infinity' },
      Install: { RequiredBy: 'sysroot.mount' },
    },
  },
  enable: ['hang.service'],
}

function withModules<T extends Board['rootfs']>(
  tree: T,
  change: (modules: readonly Module[]) => readonly Module[],
): T {
  return { ...tree, modules: change(tree.modules) }
}

function withKernelArgument(argument: string): (board: Board) => Board {
  return (board) => ({ ...board, kernelArguments: [...board.kernelArguments, argument] })
}

/** A file of a module with other content. */
function withFile(moduleName: string, path: string, body: string): (board: Board) => Board {
  return (board) => ({
    ...board,
    rootfs: withModules(board.rootfs, (modules) =>
      modules.map((module) =>
        module.name === moduleName
          ? { ...module, files: { ...module.files, [path]: { ...module.files?.[path], body } } }
          : module,
      ),
    ),
  })
}
