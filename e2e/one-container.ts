import type { Machine } from '@atomixos/machine'

/** A key that nobody has. */
const nobodysKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU'

export interface OneContainer {
  /** Public, of the one administrator. */
  readonly key?: string
  /** What the container runs; of `importApp`'s image. */
  readonly exec?: string
  readonly timeoutSeconds?: number
  /** Left out: as the device has it. */
  readonly settleSeconds?: number
  /** Behind all else. */
  readonly more?: string
}

/** A configuration with an administrator, alice, and one container, app. */
export function oneContainerToml({
  key = nobodysKey,
  exec = '/usr/bin/sleep infinity',
  timeoutSeconds = 300,
  settleSeconds,
  more = '',
}: OneContainer = {}): string {
  return `version = 1
[users.alice]
isAdmin = true
ssh_key = "${key}"
[activation]
required = ["app"]
timeout_seconds = ${timeoutSeconds}
${settleSeconds === undefined ? '' : `settle_seconds = ${settleSeconds}\n`}[containers.container.app]
privileged = true
Container.Image = "localhost/app:1"
Container.Pull = "never"
Container.Exec = "${exec}"
Container.RunInit = true
${more}`
}

/** Makes the image on the device, of these programs of the device's own and of what they need. */
export async function importApp(gateway: Machine, programs: readonly string[]): Promise<void> {
  const files = [...programs, 'usr/lib/aarch64-linux-gnu/libc.so.6', 'lib/ld-linux-aarch64.so.1']
  await gateway.succeed(
    `tar -C / --dereference -c ${files.join(' ')} | podman import --quiet - localhost/app:1`,
    { timeoutMs: 300_000 },
  )
}
