import { rootlessAccount, rootlessId } from '@atomixos/config/operator/accounts.ts'

/** In front of a command on the device: as the account of applications without privileges, which its own manager answers. */
export const asAccount = [
  `setpriv --reuid=${rootlessId} --regid=${rootlessId} --init-groups`,
  `env -C / USER=${rootlessAccount} HOME=/data/containers/${rootlessAccount}/home`,
  `XDG_RUNTIME_DIR=/run/user/${rootlessId}`,
].join(' ')
