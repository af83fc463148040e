/**
 * Images for containers that are made of Debian's packages: what the worked example (docs/applications.md) and the stories
 * run, without any registry. Declarations only.
 */

/** Their dependencies come with them. Locked as the target `apps`, which no build of the device needs. */
export const containerPackages = ['busybox-static', 'caddy'] as const

/** Would only be of use to scripts of installations, and to the store of certificates of a desktop. */
export const containerOmit = ['adduser', 'base-passwd', 'debconf', 'libnss3-tools', 'passwd'] as const

export interface ContainerImage {
  /** What a container names in `Image`. */
  readonly reference: string
  /** Paths of the packages; the target of a link comes with it. */
  readonly files: readonly string[]
  /** Paths of our own: targets of links. */
  readonly links?: Readonly<Record<string, string>>
  /** Folders that belong to the image's user. */
  readonly folders?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly command: readonly string[]
}

/** Of every image, without any right; containers may say another one. */
export const imageUser = { name: 'app', id: 1000, home: '/home/app' } as const

const applets = [
  ...[
    'cat',
    'echo',
    'env',
    'false',
    'head',
    'httpd',
    'id',
    'kill',
    'ls',
    'mount',
    'nc',
    'ping',
    'printf',
    'ps',
  ],
  ...['sh', 'sleep', 'stat', 'touch', 'true', 'wget'],
]

export const containerImages = {
  /** Caddy with its own user. What it has to keep, keys of its certificates, is below /data. */
  caddy: {
    reference: 'localhost/caddy:2',
    files: [
      '/usr/bin/caddy',
      '/usr/lib/ld-linux-aarch64.so.1',
      '/usr/lib/aarch64-linux-gnu/libc.so.6',
      '/usr/lib/aarch64-linux-gnu/libzstd.so.1',
      '/etc/mime.types',
    ],
    folders: ['/data'],
    env: { XDG_DATA_HOME: '/data', XDG_CONFIG_HOME: '/tmp' },
    command: ['/usr/bin/caddy', 'run', '--config', '/etc/caddy/Caddyfile', '--adapter', 'caddyfile'],
  },
  /** A shell, a web server and a way to do nothing, in 2 MB. */
  busybox: {
    reference: 'localhost/busybox:1',
    files: ['/usr/bin/busybox'],
    links: Object.fromEntries(applets.map((name) => [`/usr/bin/${name}`, 'busybox'])),
    command: ['/usr/bin/sleep', 'infinity'],
  },
} as const satisfies Readonly<Record<string, ContainerImage>>

export type ContainerImageName = keyof typeof containerImages
