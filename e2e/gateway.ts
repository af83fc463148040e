import {
  operatorConfigPath,
  osUpgradeSettingsPath,
  quadletFolder,
  quadletRuntimePath,
  requiredContainersPath,
  type SlotName,
  type SlotState,
} from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { updateHostName } from './gateway-network.ts'
import { importApp } from './one-container.ts'
import { manifest } from './setup.ts'

/** Of an emulated machine on a busy host. */
export const bootMs = 400_000

/** `atomixctl status --json`, as far as stories look at it. */
export interface DeviceStatus {
  readonly version: string
  readonly slot: SlotName
  readonly bootOrder: string
  readonly slots: Readonly<
    Record<SlotName, { triesLeft?: number; state?: SlotState; version?: string; reason?: string }>
  >
  readonly failedVersions: readonly { version: string; reason: string }[]
  readonly failedUnits: readonly string[]
  readonly freshFlash: boolean
  readonly data: {
    readonly mounted: boolean
    readonly full: boolean
    readonly space?: { readonly freeBytes: number; readonly availableBytes: number }
  }
  readonly update: {
    readonly labels: readonly string[]
    readonly channels: readonly { serverUrl: string; channel: string; sequence: number }[]
    readonly lastLook?: {
      readonly action: string
      readonly reason?: string
      readonly version?: string
      readonly channel?: { readonly name: string; readonly sequence: number; readonly percent: number }
    }
  }
}

export interface LoggedEvent {
  readonly event: string
  readonly slot?: SlotName
  readonly version?: string
  readonly reason?: string
  readonly detail?: string
}

export async function deviceStatus(gateway: Machine): Promise<DeviceStatus> {
  return JSON.parse(await gateway.succeed('atomixctl status --json', { timeoutMs: 120_000 })) as DeviceStatus
}

export async function deviceEvents(gateway: Machine): Promise<LoggedEvent[]> {
  return JSON.parse(await gateway.succeed('atomixctl events --json', { timeoutMs: 120_000 })) as LoggedEvent[]
}

export async function runningSlot(gateway: Machine): Promise<string> {
  return /\brauc\.slot=(\S+)/.exec(String(await gateway.readFile('/proc/cmdline')))?.[1] ?? 'none'
}

/** Hashes of the pair that an update of B must not touch. */
export async function slotABytes(gateway: Machine): Promise<string> {
  const rootfs = manifest.artifacts.find(({ name }) => name === 'rootfs.squashfs')!
  return gateway.succeed(
    `sha256sum </dev/atomixos/boot-a; head -c ${rootfs.sizeBytes} /dev/atomixos/rootfs-a | sha256sum`,
    { timeoutMs: 300_000 },
  )
}

export async function waitUntilUp(gateway: Machine): Promise<void> {
  await gateway.waitForUnit('multi-user.target', { timeoutMs: bootMs })
}

/** Until the running slot has been watched for its 60 s and is confirmed. */
export async function waitUntilConfirmed(gateway: Machine, slot: SlotName): Promise<void> {
  await waitUntilUp(gateway)
  await waitUntilVerified(gateway)
  await gateway.waitUntilSucceeds(`test "$(fw_printenv -n SLOT_${slot}_STATE)" = confirmed`, {
    timeoutMs: 300_000,
  })
}

/**
 * Until the verification of this boot has run to its end, whatever it found. It starts only after everything else is
 * up, so "not active" may as well mean that it has not begun. It watches for a minute: who asks all the time takes a
 * third of the processor meanwhile, and `tail` looks once a second whether the process is there.
 */
export async function waitUntilVerified(gateway: Machine): Promise<void> {
  await gateway.waitUntilSucceeds(
    [
      'pid=$(systemctl show -P MainPID os-verification)',
      'test "$pid" -eq 0 || timeout 30 tail --pid="$pid" -f /dev/null',
      'test "$(systemctl show -P ExecMainExitTimestampMonotonic os-verification)" -gt 0',
    ].join('; '),
    { timeoutMs: 300_000 },
  )
}

/**
 * From now on until the next start only the story asks the update server: the timer, which does so five to fifteen
 * minutes after the start, would come in between.
 */
export async function holdUpdateTimer(gateway: Machine): Promise<void> {
  await gateway.succeed('systemctl stop os-upgrade.timer os-upgrade.service', { timeoutMs: 180_000 })
}

/** Which slots U-Boot has tried since then, in order: `['B', 'B', 'B', 'A']`. */
export function triesSince(gateway: Machine, position: number): string[] {
  return [...gateway.console.text.slice(position).matchAll(/ab: try slot ([AB])/g)].map((match) => match[1]!)
}

/** What provisioning leaves on /data for a device with an update server and no containers. */
export async function provision(gateway: Machine): Promise<void> {
  const upgrade = JSON.stringify({ server_url: `https://${updateHostName}` })
  await gateway.writeFile(operatorConfigPath, 'version = 1\n')
  await gateway.writeFile(osUpgradeSettingsPath, `${upgrade}\n`)
}

/**
 * A container that has to run, from an image that is made on the device of its own `sleep`; running when this
 * returns.
 */
export async function addRequiredContainer(gateway: Machine): Promise<void> {
  await importApp(gateway, ['usr/bin/sleep'])
  await gateway.succeed(`mkdir -p ${quadletFolder}`)
  await gateway.writeFile(
    `${quadletFolder}/app.container`,
    '[Container]\nImage=localhost/app:1\nExec=/usr/bin/sleep infinity\nNetwork=host\nRunInit=true\n[Install]\nWantedBy=multi-user.target\n',
  )
  await gateway.writeFile(
    quadletRuntimePath,
    '[{"unit":"app.container","service":"app.service","mode":"rootful"}]\n',
  )
  await gateway.writeFile(requiredContainersPath, '["app"]\n')
  await gateway.succeed('systemctl start container-activation', { timeoutMs: 120_000 })
  await gateway.waitUntilSucceeds('systemctl is-active app.service', { timeoutMs: 300_000 })
  // Only what was written out survives a cut.
  await gateway.succeed('sync')
}
