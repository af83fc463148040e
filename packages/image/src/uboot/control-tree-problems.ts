import { cell, type DeviceTreeNode, nodeAt, text } from './device-tree.ts'

/** What U-Boot's own device tree for the Rock64 must say for environment, recovery and console to work. */
export function controlTreeProblems(root: DeviceTreeNode): string[] {
  const problems: string[] = []
  const expect = (holds: boolean, problem: string) => {
    if (!holds) problems.push(`its device tree ${problem}`)
  }
  const compatible = root.properties.get('compatible')?.toString('latin1').split('\0') ?? []
  expect(compatible.includes('pine64,rock64'), 'is not that of a Rock64')

  const aliases = nodeAt(root, 'aliases')
  const emmc = nodeAt(root, text(aliases, 'mmc0') ?? 'none')
  expect(emmc?.properties.has('non-removable') === true, 'does not call the eMMC mmc0')

  const spi = nodeAt(root, text(aliases, 'spi0') ?? 'none')
  const flash = [...(spi?.children.values() ?? [])].find(
    (node) => text(node, 'compatible') === 'jedec,spi-nor',
  )
  expect(text(spi, 'status') === 'okay' && cell(flash, 'reg') === 0, 'has no SPI flash for the environment')

  const ports = find(root, (node) => text(node, 'compatible') === 'rockchip,rk3328-usb')
  expect(
    ports.some((port) => text(port, 'dr_mode') === 'peripheral' && text(port, 'status') === 'okay'),
    'has no USB device port for recovery',
  )

  const button = find(root, (node) => text(node, 'label') === 'recovery')[0]
  const gpio = button?.properties.get('gpios')
  const bank = find(root, (node) => gpio !== undefined && cell(node, 'phandle') === gpio.readUInt32BE(0))[0]
  // GPIO 100 counts 32 pins a bank: bank 3, pin 4, pressed when low.
  expect(
    bank?.name === 'gpio@ff240000' && gpio?.readUInt32BE(4) === 4 && gpio.readUInt32BE(8) === 1,
    'does not have the recovery button at GPIO 100',
  )
  const pulled = find(root, (node) => node.name === 'recovery-key')[0]?.properties.get('rockchip,pins')
  const pull = find(
    root,
    (node) => pulled !== undefined && cell(node, 'phandle') === pulled.readUInt32BE(12),
  )[0]
  expect(pull?.properties.has('bias-pull-up') === true, 'lets the line of the recovery button float')

  expect(text(nodeAt(root, 'chosen'), 'stdout-path') === 'serial2:1500000n8', 'has its console elsewhere')
  return problems
}

function find(node: DeviceTreeNode, matches: (node: DeviceTreeNode) => boolean): DeviceTreeNode[] {
  return [
    ...(matches(node) ? [node] : []),
    ...[...node.children.values()].flatMap((child) => find(child, matches)),
  ]
}
