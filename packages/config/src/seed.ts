/**
 * Name of the operator's configuration in the root folder of slot A's boot partition. A freshly flashed device takes
 * it from there; later starts do not look.
 */
export const bootSeedName = 'config.toml'
