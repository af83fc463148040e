/** What is rendered from `config.toml` and read by the device's programs. All of it is derived; nothing edits it in place. */

export const configFolder = '/data/config'

/** There when the device was provisioned. */
export const operatorConfigPath = `${configFolder}/config.toml`

/** `{ "server_url": "https://..." }`; no file: no polling. */
export const osUpgradeSettingsPath = `${configFolder}/os-upgrade.json`

/** A list of the names of containers that must be active. */
export const requiredContainersPath = `${configFolder}/health-required.json`

export const quadletFolder = `${configFolder}/quadlet`

/** `[{ "unit": "app.container", "service": "app.service", "mode": "rootful" | "rootless" }]` */
export const quadletRuntimePath = `${configFolder}/quadlet-runtime.json`
