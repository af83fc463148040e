/** What is applied while the machine is recorded: two configurations that differ in every file. Pure. */

const keys = {
  alice: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU',
  bob: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f',
}

/** What `/data/config` holds, as it is told on the device and read from the recorded disk. */
export interface ConfigurationSet {
  /** SHA-256 by path below it. */
  readonly files: Readonly<Record<string, string>>
}

export type AppliedName = 'first' | 'second'

interface Upload {
  readonly config: string
  /** By path in the bundle's `files/`. */
  readonly files: Readonly<Record<string, string>>
}

export const containerImage = 'localhost/app:1'

/** From an image that the device makes of its own programs: nothing is fetched. */
function config(users: string, more: string, seconds: number): string {
  return `version = 1
${users}
[activation]
required = ["app"]
timeout_seconds = 300
[containers.container.app]
privileged = true
Container.Image = "${containerImage}"
Container.Pull = "never"
Container.Exec = "/usr/bin/sleep ${seconds}"
Container.RunInit = true
${more}`
}

/** @param serverUrl That the device has asked before. */
export function uploads(serverUrl: string): Readonly<Record<AppliedName, Upload>> {
  const upgrade = (url: string) => `[os_upgrade]\nserver_url = "${url}"\n`
  return {
    first: {
      config: config(
        `[users.alice]\nisAdmin = true\nssh_key = "${keys.alice} alice@desk"`,
        `[network.firewall.inbound.wan]\ntcp = [443]\n${upgrade(serverUrl)}`,
        1_000_001,
      ),
      files: { 'proxy/routes.toml': 'first = true\n'.repeat(700), 'proxy/note': 'of the first\n' },
    },
    second: {
      config: config(
        `[users.alice]\nisAdmin = true\nssh_key = "${keys.bob} alice@new-desk"\n[users.bob]\nssh_key = "${keys.bob} bob@desk"`,
        `[network.dnsmasq]\ndhcp_end = "172.20.30.99"\n[network.firewall.inbound.wan]\ntcp = [443, 8443]\n${upgrade(`${serverUrl}/feed`)}`,
        1_000_002,
      ),
      files: { 'proxy/routes.toml': 'second = true\n'.repeat(900), 'proxy/more': 'of the second\n' },
    },
  }
}

/** Of the device; its output is read by `parseListing`. */
export const listingCommand = (folder: string) =>
  `cd ${folder} && find . -type f -exec sha256sum {} + | sort -k 2`

export function parseListing(text: string): ConfigurationSet {
  const lines = text.split('\n').filter((line) => line !== '')
  return {
    files: Object.fromEntries(
      lines.map((line) => {
        const [, hash, path] = /^([0-9a-f]{64}) [ *]\.\/(.+)$/.exec(line) ?? []
        if (hash === undefined || path === undefined) throw new Error(`sha256sum says "${line}"`)
        return [path, hash]
      }),
    ),
  }
}
