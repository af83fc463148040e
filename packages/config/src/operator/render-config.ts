import {
  adminSignersPath,
  configFolder,
  firewallInboundPath,
  hostNetworkPath,
  lanSettingsPath,
  operatorConfigPath,
  osUpgradeSettingsPath,
  quadletFolder,
  quadletRuntimePath,
  requiredContainersPath,
} from '../operator-files.ts'
import { rootlessAccount } from './accounts.ts'
import { toToml } from './canonical.ts'
import type { ContainerConfig, OperatorConfig } from './contract.ts'
import { activationPolicyOf, usersOf } from './derived.ts'
import { enforceContainer, type Lines, linesOf, type Mode } from './quadlet/boundary.ts'
import { sectionOf, type Unit, unitsOf } from './quadlet/units.ts'
import { networkFileValues } from './rules-network.ts'
import { parseSshKey, type SshKey } from './ssh-key.ts'

/** A file below the configuration's folder. */
export interface RenderedFile {
  readonly content: string
  readonly mode: number
  /** `user:group` */
  readonly owner: string
}

/** Of every folder that files are rendered into: root:root. */
export const folderMode = 0o755

/** Signatures of requests to the API are for this purpose and no other. */
export const signatureNamespace = 'atomixos-reapply'

/**
 * Every file that is derived from a configuration, by its path below `/data/config`, in order. The same configuration
 * gives the same bytes. `source` is what stands in config.toml: the operator's own text, with comments; left out, the
 * canonical one. Pure.
 */
export function renderConfig(config: OperatorConfig, source?: string): ReadonlyMap<string, RenderedFile> {
  const files = new Map<string, RenderedFile>()
  const put = (path: string, content: string, access: Partial<RenderedFile> = {}) =>
    files.set(path.slice(configFolder.length + 1), { content, mode: 0o644, owner: 'root:root', ...access })

  // Environments of containers may hold passwords: nobody but root reads those, and the account that runs them.
  put(operatorConfigPath, source ?? toToml(config), { mode: 0o600 })
  putUsers(config, put)
  const { lan, firewall, host } = networkFileValues(config.network)
  if (lan !== undefined) put(lanSettingsPath, json(lan))
  if (firewall !== undefined) put(firewallInboundPath, json(firewall))
  if (host !== undefined) put(hostNetworkPath, json(host))
  put(`${configFolder}/activation-policy.json`, json(activationPolicyOf(config)))
  put(requiredContainersPath, json(config.activation.required))
  if (config.os_upgrade !== undefined) put(osUpgradeSettingsPath, json(config.os_upgrade))
  putQuadlets(config, put)
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)))
}

type Put = (path: string, content: string, access?: Partial<RenderedFile>) => void

function putUsers(config: OperatorConfig, put: Put): void {
  const users = usersOf(config)
  put(`${configFolder}/users.json`, json(users))
  put(`${configFolder}/managed-users.json`, json(users.map(({ name }) => name)))
  const signers: string[] = []
  for (const { name, isAdmin } of users) {
    const line = config.users[name]?.ssh_key
    if (line === undefined) continue
    const { type, blob, comment } = parseSshKey(line) as SshKey
    // sshd reads it as that user.
    put(`${configFolder}/ssh-authorized-keys/${name}`, `${[type, blob, comment].join(' ').trim()}\n`)
    if (isAdmin) signers.push(`${name} namespaces="${signatureNamespace}" ${type} ${blob}\n`)
  }
  put(adminSignersPath, signers.join(''))
}

function putQuadlets(config: OperatorConfig, put: Put): void {
  const units = unitsOf(config)
  for (const unit of units) {
    const rootless = unit.modes.includes('rootless')
    put(`${quadletFolder}/${unit.file}`, renderUnit(unit), {
      mode: rootless ? 0o640 : 0o600,
      owner: `root:${rootless ? rootlessAccount : 'root'}`,
    })
  }
  const runtime = units.flatMap(({ file, service, modes }) =>
    modes.map((mode) => ({ unit: file, service, mode })),
  )
  put(quadletRuntimePath, `[\n${runtime.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n')}\n]\n`)
}

/**
 * A container that is started for the first time fetches its image, for which systemd's 90 s are too short on many lines. How long is
 * waited is the policy's matter, which goes up to this.
 */
const startTimeoutS = 3600

function renderUnit({ kind, value, modes }: Unit): string {
  const sections = value as Readonly<Record<string, ContainerConfig['Container'] | undefined>>
  const own = linesOf(sections[sectionOf[kind]])
  if (kind !== 'container') return renderSections({ [sectionOf[kind]]: own })
  return renderSections({
    Unit: linesOf(sections['Unit']),
    Container: enforceContainer(own, modes[0] as Mode, [], () => {}),
    Service: { TimeoutStartSec: [String(startTimeoutS)] },
    Install: linesOf(sections['Install']),
  })
}

/** Values have been validated: each is one line, and the next one is not taken for a part of it. */
function renderSections(sections: Readonly<Record<string, Lines>>): string {
  return Object.entries(sections)
    .map(([name, lines], index) => {
      const text = Object.entries(lines).flatMap(([directive, values]) =>
        values.map((value) => `${directive}=${value}\n`),
      )
      return index > 0 && text.length === 0 ? '' : `[${name}]\n${text.join('')}`
    })
    .filter((section) => section !== '' && section !== '[Unit]\n')
    .join('\n')
}

/** Keys in order, so that the order in which somebody wrote them changes nothing. */
function json(value: unknown): string {
  return `${JSON.stringify(ordered(value))}\n`
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, member]) => [key, ordered(member)]))
}
