import type { TreeDefinition } from '@atomixos/image/definition/words.ts'
import { accounts } from './accounts.ts'
import { activation } from './activation.ts'
import { api } from './api.ts'
import { base } from './base.ts'
import { containers } from './containers.ts'
import { data } from './data.ts'
import { firewall } from './firewall.ts'
import { fleet } from './fleet.ts'
import { kernel } from './kernel.ts'
import { lan } from './lan.ts'
import { logs } from './logs.ts'
import { network } from './network.ts'
import { provisioning } from './provisioning.ts'
import { rescue } from './rescue.ts'
import { runtime } from './runtime.ts'
import { shells } from './shells.ts'
import { ssh } from './ssh.ts'
import { systemd } from './systemd.ts'
import { time } from './time.ts'
import { trim } from './trim.ts'
import { trimPackages } from './trim-packages.ts'
import { trimSystemd } from './trim-systemd.ts'
import { update } from './update.ts'
import { usbUpdate } from './usb-update.ts'
import { vpn } from './vpn.ts'

/** The root file system, the same on every board. */
export const gateway: TreeDefinition = {
  name: 'gateway',
  lockTarget: 'rootfs',
  modules: [
    ...[base, accounts, systemd, kernel, data, logs, rescue],
    ...[network, firewall, lan, time, activation, provisioning, vpn, ssh, fleet],
    ...[update, usbUpdate, containers, api, runtime, shells, trim, trimPackages, trimSystemd],
  ],
}
