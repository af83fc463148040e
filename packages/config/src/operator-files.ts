/** What is rendered from `config.toml` and read by the device's programs. All of it is derived; nothing edits it in place. */

export const configFolder = '/data/config'

/** There when the device was provisioned. */
export const operatorConfigPath = `${configFolder}/config.toml`

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

/** `[{ "name": "alice", "isAdmin": true, "shell": "zsh" }]` */
export const usersPath = `${configFolder}/users.json`

/** One file for each user, which sshd reads. */
export const authorizedKeysFolder = `${configFolder}/ssh-authorized-keys`

/** What a bundle brought beside its `config.toml`. */
export const bundleFilesFolder = `${configFolder}/files`

/** Archives of images here are loaded for the containers that name them. */
export const imageArchivesFolder = `${bundleFilesFolder}/images`

/**
 * Left by the activation for `container-activation.service`, a line each: `load MODE STAMP FILE` for an archive of images,
 * then `start MODE SERVICE`. MODE is `rootful` or `rootless`, STAMP is what is noted when the archive was loaded.
 */
export const containerTasksPath = '/run/atomixos/container-tasks'

/** Stamps of archives that were loaded. */
export const loadedArchivesPath = '/data/containers/loaded-archives'

/** Where a configuration is put together before it takes the place of the active one. */
export const configCandidateFolder = '/data/config-candidate'

/** The configuration before: it is there from the promotion of a new one until that has proved itself. */
export const configRollbackFolder = '/data/config-rollback'

/** What is being thrown away. */
export const configDroppedFolder = '/data/config-dropped'

/** A folder for each applying of a configuration, by id. */
export const configJobsFolder = '/run/atomixos/jobs'

/** Made on /data by the first boot after flashing, and gone when the device is provisioned: `/boot` is looked at. */
export const bootSeedPendingPath = '/data/identity/boot-seed-pending'
/** Made by hand, on purpose, and not derived: while it is there updates on a USB stick are installed. */
export const usbUpdateAllowedPath = `${configFolder}/usb-update-enabled`
