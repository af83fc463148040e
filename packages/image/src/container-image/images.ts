/** What images for containers are made of; their dependencies come with them. Locked as the target `apps`. */
export const containerPackages = ['busybox-static', 'caddy'] as const

/** Would only be of use to scripts of installations, and to the store of certificates of a desktop. */
export const containerOmit = ['adduser', 'base-passwd', 'debconf', 'libnss3-tools', 'passwd'] as const
