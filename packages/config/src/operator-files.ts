/** What is rendered from `config.toml` and read by the device's programs. All of it is derived; nothing edits it in place. */

export const configFolder = '/data/config'

/** There when the device was provisioned. */
export const operatorConfigPath = `${configFolder}/config.toml`

/** The configuration before, while another one is taking its place. */
export const configRollbackFolder = '/data/config-rollback'

/** Keys that sign requests to the API, as ssh-keygen(1) reads them (ALLOWED SIGNERS). */
export const adminSignersPath = `${configFolder}/admin-signers`

/** `{ "server_url": "https://..." }`; no file: no polling. */
export const osUpgradeSettingsPath = `${configFolder}/os-upgrade.json`

/** A list of the names of containers that must be active. */
export const requiredContainersPath = `${configFolder}/health-required.json`

export const quadletFolder = `${configFolder}/quadlet`

/** `[{ "unit": "app.container", "service": "app.service", "mode": "rootful" | "rootless" }]` */
export const quadletRuntimePath = `${configFolder}/quadlet-runtime.json`

/** `[network.dnsmasq]`: the LAN behind the gateway. */
export const lanSettingsPath = `${configFolder}/lan-settings.json`

/** `[network.firewall.inbound]`: what may come in. */
export const firewallInboundPath = `${configFolder}/firewall-inbound.json`

/** The rest of `[network]`: the gateway's own interfaces but the LAN's, its DNS and NTP servers. */
export const hostNetworkPath = `${configFolder}/host-network.json`

/** Made by hand, on purpose, and not derived: while it is there SSH answers on the WAN. */
export const sshOnWanPath = `${configFolder}/ssh-wan-enabled`

/** Services of the containers that are to be started, one a line: left by the activation for systemd. */
export const containerServicesPath = '/run/atomixos/container-services'
