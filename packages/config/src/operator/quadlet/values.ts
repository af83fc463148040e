import { configFolder } from '../../operator-files.ts'

/**
 * Values of directives that do not lead an application out of its bounds. Quadlet splits some values at spaces, resolves
 * quotes and backslashes, and systemd then fills in `$NAME` and `%x`: a value in which such a character could mean
 * something else than it says is none of these. Nor is one that podman would take for an option.
 */

export const filesFolder = `${configFolder}/files`

/** What an operator writes for them. */
export const filesVariable = `\${FILES_DIR}`
const configVariable = `\${CONFIG_DIR}`

/** The folders' names in a value of a directive. */
export function fillIn(value: string): string {
  if (!value.includes('$')) return value
  return value.replaceAll(configVariable, configFolder).replaceAll(filesVariable, filesFolder)
}

const matches = (pattern: RegExp) => (value: string) => pattern.test(value)

export const oneOf =
  (...words: readonly string[]) =>
  (value: string) =>
    words.includes(value)

/** Words with single spaces between them, each of this kind. */
export const isWordList = (pattern: RegExp) => (value: string) =>
  value.split(' ').every((word) => pattern.test(word))

export const isFlag = oneOf('true', 'false', 'yes', 'no', '1', '0', 'on', 'off')
export const isNumber = matches(/^\d{1,12}$/)
export const isLimit = matches(/^(?:-1|\d{1,12})$/)
export const isSize = matches(/^\d{1,12}[bkmgBKMG]?$/)
export const isDuration = matches(/^(?:\d{1,9}(?:\.\d{1,9})?(?:us|ms|s|m|min|h|d)?){1,4}$/)
export const isInterval = (value: string) => value === 'disable' || isDuration(value)
export const isPlainWord = matches(/^[A-Za-z0-9_][A-Za-z0-9_.:=-]{0,200}$/)
export const isServiceName = matches(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}$/)
export const isHostWord = matches(/^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$/)
export const isSearchDomain = matches(/^(?:\.|[A-Za-z0-9][A-Za-z0-9.-]{0,252})$/)
export const isHostEntry = matches(/^[A-Za-z0-9][A-Za-z0-9.;-]{0,252}:(?:host-gateway|[0-9A-Fa-f:.]{2,45})$/)
export const isAccount = matches(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?$/)
export const isGroup = (value: string) =>
  value !== 'keep-groups' && /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/.test(value)
export const isPortRange = matches(/^\d{1,5}(?:-\d{1,5})?(?:\/(?:tcp|udp|sctp))?$/)
export const isAddressRange = matches(/^[0-9A-Fa-f:.]{2,45}(?:\/\d{1,3}|-[0-9A-Fa-f:.]{2,45})?$/)
export const isSignal = matches(/^(?:[A-Z][A-Z0-9+-]{1,15}|\d{1,2})$/)
export const isTimezone = matches(/^(?:local|[A-Za-z0-9_+-]{1,30}(?:\/[A-Za-z0-9_+-]{1,30}){0,2})$/)
export const isUlimit = matches(/^(?:host|[a-z]{2,12}=-?\d{1,19}(?::-?\d{1,19})?)$/)
export const isUserNamespace = matches(
  /^(?:nomap|auto(?::size=\d{1,6})?|keep-id(?::(?:uid|gid)=\d{1,6}(?:,(?:uid|gid)=\d{1,6})?)?)$/,
)
export const isLogTag = matches(/^tag=[A-Za-z0-9_.{}/:-]{1,200}$/)
/** Files are never asked for by path here: the secret is in podman's own store. */
export const isSecret = (value: string) => !value.includes('..') && secretPattern.test(value)
const secretPattern =
  /^[A-Za-z0-9][A-Za-z0-9_.-]{0,252}(?:,(?:type|target|uid|gid|mode)=[A-Za-z0-9_./-]{1,200})*$/
export const unitNamePattern =
  /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,240}\.(?:service|socket|target|timer|path|slice|mount|scope)$/

/** A path in the container: from the top, without anything that means something to a shell, to systemd or to podman. */
export const isInnerPath = matches(/^(?:\/[A-Za-z0-9_.@+-]+)+\/?$|^\/$/)
export const isMask = (value: string) => value.split(':').every(isInnerPath)

/** Of the bundle, without a step upwards. There are no links in bundles. */
export function isOwnFile(value: string): boolean {
  if (value !== filesFolder && !value.startsWith(`${filesFolder}/`)) return false
  const rest = value.slice(filesFolder.length)
  return /^(?:\/[A-Za-z0-9_.@+-]+)*\/?$/.test(rest) && !rest.split('/').includes('..')
}

const imageName = /^[A-Za-z0-9](?:[A-Za-z0-9._:/-]{0,400}[A-Za-z0-9])?(?:@sha256:[0-9a-f]{64})?$/

/** By name in a registry or in podman's store. Other ways (`dir:`, `docker-daemon:`...) read from the host. */
export function isImageName(value: string): boolean {
  return (
    imageName.test(value) &&
    !value.includes('..') &&
    !/^[a-z-]+:(?:\/|$)/.test(value) &&
    !transport.test(value)
  )
}

const transport =
  /^(?:dir|docker|docker-archive|docker-daemon|oci|oci-archive|containers-storage|ostree|sif|tarball|atomic|unix|tcp|ssh|https?):/

export function isImage(value: string): boolean {
  const archive = /^(?:docker-archive|oci-archive):(.+)$/.exec(value)
  return archive === null ? isImageName(value) : isOwnFile(archive[1]!) && !archive[1]!.includes(':')
}

/** Podman's own, and those of the contract, which may begin with an underscore. */
const volumeName = /^(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,206}|[A-Za-z0-9_][A-Za-z0-9_-]{0,199}\.volume)$/
/** `dev` and `suid` stay off, and so does everything that changes the file system outside. */
const volumeOptions: ReadonlySet<string> = new Set([
  'ro',
  'rw',
  'z',
  'Z',
  'U',
  'noexec',
  'nosuid',
  'nodev',
  'nocopy',
  'copy',
])

/** `[SOURCE:]PATH[:OPTIONS]` */
export function isVolume(value: string): boolean {
  const [source = '', path, options, ...more] = value.split(':')
  if (path === undefined) return isInnerPath(source)
  if (more.length > 0 || !isInnerPath(path)) return false
  if (options !== undefined && !options.split(',').every((option) => volumeOptions.has(option))) return false
  return volumeName.test(source) || isOwnFile(source)
}

export function isBuildVolume(value: string): boolean {
  return isVolume(value) && isOwnFile(value.split(':')[0]!)
}

/** `PATH[:OPTIONS]` */
export function isTmpfs(value: string): boolean {
  const [path = '', options, ...more] = value.split(':')
  if (more.length > 0 || !isInnerPath(path)) return false
  return options === undefined || options.split(',').every((option) => tmpfsOption.test(option))
}

const tmpfsOption =
  /^(?:ro|rw|noexec|exec|nosuid|nodev|tmpcopyup|notmpcopyup|U|size=\d{1,9}[kmg]?|mode=[0-7]{3,4}|uid=\d{1,6}|gid=\d{1,6})$/

/** `type=KIND,KEY=VALUE,...`, each key once and by one of its names. */
export function isMount(value: string): boolean {
  if (!/^[A-Za-z0-9_.,=/@+-]+$/.test(value)) return false
  const fields = value.split(',').map((field) => {
    const equals = field.indexOf('=')
    return equals === -1
      ? ([field, undefined] as const)
      : ([field.slice(0, equals), field.slice(equals + 1)] as const)
  })
  const options = new Map(fields.map(([key, setting]) => [mountKeys.get(key) ?? key, setting]))
  if (options.size !== fields.length) return false
  const kind = options.get('type')
  const source = options.get('source')
  const target = options.get('destination')
  if (target === undefined || !isInnerPath(target)) return false
  for (const [key, setting] of options) {
    if (key === 'type' || key === 'source' || key === 'destination') continue
    if (key === 'ro' && (setting === undefined || isFlag(setting))) continue
    if (
      kind === 'tmpfs' &&
      setting !== undefined &&
      tmpfsOption.test(`${key.replace('tmpfs-', '')}=${setting}`)
    )
      continue
    return false
  }
  if (kind === 'tmpfs') return source === undefined
  if (source === undefined) return false
  return kind === 'volume' ? volumeName.test(source) : kind === 'bind' && isOwnFile(source)
}

const mountKeys: ReadonlyMap<string, string> = new Map([
  ['src', 'source'],
  ['dst', 'destination'],
  ['target', 'destination'],
  ['readonly', 'ro'],
])
