import type { Problem } from '../definition/problems.ts'
import { cell, type DeviceTreeNode } from '../uboot/device-tree.ts'

/** What is known about a board's devices beyond its device tree. All keys are `compatible` strings. */
export interface DriverNeeds {
  /**
   * Drivers inside the kernel, by the setting that puts them there, or `true` for what needs no driver at all.
   * The kernel's own list of built-in modules tells no aliases before Linux 6.13, so they are named here; the
   * settings are compared with the kernel's configuration.
   */
  readonly inKernel: Readonly<Record<string, string | true>>
  /**
   * Names under which the kernel asks for a driver when the device tree's are not used: the AMBA bus reads an id from
   * the device (`amba:d00041330`).
   */
  readonly otherAliases?: Readonly<Record<string, string>>
  /** Devices that stay without a driver, each with the reason. */
  readonly unused: Readonly<Record<string, string>>
  /** What must work before the root is mounted, together with all that it hangs on. */
  readonly initrd: readonly string[]
  /** What must be there and enabled; a device tree that lost one is a problem. */
  readonly required: readonly string[]
}

export interface BoardDriversInput {
  readonly deviceTree: DeviceTreeNode
  readonly needs: DriverNeeds
  /** Settings of the kernel by name with `CONFIG_`: `y`, `m`. */
  readonly kernelConfig: ReadonlyMap<string, string | undefined>
  /** `modules.alias` of the initrd and of the root file system. */
  readonly initrdAliases: string
  readonly rootAliases: string
}

/**
 * Every enabled device of a board must have a driver: in the kernel, in the initrd when the root depends on it, else
 * in the root file system. "Depends" follows the device tree as the kernel does: parents and suppliers (clocks,
 * regulators, pins, resets, power domains) must have drivers before the kernel binds a device to its own.
 */
export function boardDriverProblems(input: BoardDriversInput): Problem[] {
  const { needs, kernelConfig } = input
  const devices = listDevices(input.deviceTree)
  const byPhandle = new Map(
    devices.flatMap((device) => (device.phandle === undefined ? [] : [[device.phandle, device]])),
  )
  const initrd = aliasMatcher(input.initrdAliases, needs)
  const root = aliasMatcher(input.rootAliases, needs)
  const inKernel = (device: Device) =>
    device.compatible.some((name) => {
      const setting = needs.inKernel[name]
      return setting === true || (setting !== undefined && kernelConfig.get(setting) === 'y')
    })

  const early = new Map<Device, Device>()
  for (const device of devices) {
    if (!device.compatible.some((name) => needs.initrd.includes(name))) continue
    for (const supplier of suppliersOf(device, byPhandle)) early.set(supplier, early.get(supplier) ?? device)
  }

  const problems: Problem[] = []
  for (const device of devices) {
    if (device.compatible.length === 0 || device.path === '/' || inKernel(device)) continue
    const where = `device tree ${device.path}`
    const what = device.compatible.join(', ')
    const user = early.get(device)
    if (user !== undefined && !initrd(device)) {
      const reason = user === device ? 'it' : `${user.path}, which depends on it,`
      problems.push({
        where,
        message: `${what}: the root needs ${reason} and the initrd has no driver for it`,
      })
    } else if (!initrd(device) && !root(device) && !device.compatible.some((name) => name in needs.unused)) {
      problems.push({
        where,
        message: `${what}: neither the kernel nor the root file system has a driver for it`,
        hint: 'add the kernel module, or give the reason why the device stays unused',
      })
    }
  }
  for (const name of [...needs.required, ...needs.initrd]) {
    if (devices.some(({ compatible }) => compatible.includes(name))) continue
    problems.push({ where: 'device tree', message: `has no enabled ${name}` })
  }
  for (const [name, setting] of Object.entries(needs.inKernel)) {
    if (setting === true || kernelConfig.get(setting) === 'y') continue
    const value = kernelConfig.get(setting) ?? 'not set'
    problems.push({
      where: `kernel ${setting}`,
      message: `is ${value}; the driver for ${name} was taken to be built in`,
    })
  }
  return problems
}

interface Device {
  readonly path: string
  readonly node: DeviceTreeNode
  readonly compatible: readonly string[]
  readonly parent: Device | undefined
  readonly phandle: number | undefined
}

/** Enabled nodes; what is below a disabled one does not exist. */
function listDevices(root: DeviceTreeNode): Device[] {
  const devices: Device[] = []
  const walk = (node: DeviceTreeNode, path: string, parent: Device | undefined) => {
    if (!/^ok(?:ay)?$/.test(strings(node, 'status')[0] ?? 'okay')) return
    const device = {
      path,
      node,
      parent,
      compatible: strings(node, 'compatible'),
      phandle: cell(node, 'phandle'),
    }
    devices.push(device)
    for (const child of node.children.values())
      walk(child, `${path === '/' ? '' : path}/${child.name}`, device)
  }
  walk(root, '/', undefined)
  return devices
}

/** The device, its parents, and everything that it or they are supplied by. */
function suppliersOf(device: Device, byPhandle: ReadonlyMap<number, Device>): Set<Device> {
  const found = new Set<Device>([device])
  // Grows while it is walked.
  for (const { node, parent } of found) {
    if (parent !== undefined) found.add(parent)
    for (const phandle of referencesOf(node, byPhandle)) {
      const supplier = byPhandle.get(phandle)
      if (supplier !== undefined) found.add(supplier)
    }
  }
  return found
}

/** Property to the supplier's property that tells how many cells follow a phandle; none follow where it is absent. */
const supplierProperties: readonly (readonly [RegExp, string | undefined])[] = [
  [/-supply$/, undefined],
  [/^pinctrl-\d+$/, undefined],
  [/^(assigned-)?clocks$/, '#clock-cells'],
  [/^resets$/, '#reset-cells'],
  [/^power-domains$/, '#power-domain-cells'],
  [/^phys$/, '#phy-cells'],
  [/^iommus$/, '#iommu-cells'],
  [/(^|-)gpios?$/, '#gpio-cells'],
  [/^dmas$/, '#dma-cells'],
  [/^interrupts-extended$/, '#interrupt-cells'],
  [/^interrupt-parent$/, undefined],
  [/^mmc-pwrseq$/, undefined],
]

function referencesOf(node: DeviceTreeNode, byPhandle: ReadonlyMap<number, Device>): number[] {
  return [...node.properties].flatMap(([name, value]) => {
    const known = supplierProperties.find(([pattern]) => pattern.test(name))
    if (known === undefined || value.length % 4 !== 0) return []
    const phandles: number[] = []
    for (let at = 0; at < value.length; ) {
      const phandle = value.readUInt32BE(at)
      phandles.push(phandle)
      const supplier = byPhandle.get(phandle)
      const cells =
        known[1] === undefined || supplier === undefined ? 0 : (cell(supplier.node, known[1]) ?? 0)
      at += 4 + cells * 4
    }
    return phandles
  })
}

/** Matches as udev does: the device's modalias against the glob patterns of the drivers. */
function aliasMatcher(modulesAlias: string, { otherAliases }: DriverNeeds): (device: Device) => boolean {
  const patterns = [...modulesAlias.matchAll(/^alias ((?:of|amba):\S+) \S+$/gm)].map(
    ([, glob]) =>
      new RegExp(
        `^${glob!
          .replaceAll(/[.+^${}()|\\]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
      ),
  )
  return ({ node, compatible }) => {
    const type = strings(node, 'device_type')[0] ?? '(null)'
    const names = compatible.map((name) => `C${name}`).join('')
    const aliases = [`of:N${node.name.replace(/@.*/, '')}T${type}${names}`]
    for (const name of compatible) if (otherAliases?.[name] !== undefined) aliases.push(otherAliases[name])
    return patterns.some((pattern) => aliases.some((alias) => pattern.test(alias)))
  }
}

function strings(node: DeviceTreeNode, property: string): string[] {
  return (node.properties.get(property)?.toString('latin1') ?? '').split('\0').filter(Boolean)
}
