import {
  apiPort,
  bootEnvironments,
  bootTries,
  dataMountPoint,
  deviceLabelsPath,
  eventLogPath,
  firmwareSectors,
  lanDefaults,
  lifeCycleEvents,
  MiB,
  machineIdPath,
  operatorConfigPath,
  osUpgradeSettingsPath,
  partitions,
  platformLanPorts,
  quadletFolder,
  serverAuthoritiesPath,
  slotRecordsPath,
  sshOnWanPath,
  sshPort,
  storedVariables,
  updateFolder,
  wanInterface,
} from '@atomixos/config'
import { type KeyReference, keyReferences } from '@atomixos/config/operator/index.ts'
import type { TreeDefinition } from '@atomixos/image/definition/words.ts'
import type { Lock } from '@atomixos/image/lock/lock.ts'
import type { Argument, Command, Option } from 'commander'

/** Pages of reference, as Markdown, from what the code itself says. Pure. */
export interface Facts {
  readonly program: Command
  /** What `atomixctl help` prints. */
  readonly deviceHelp: string
  readonly rootfs: TreeDefinition
  readonly lock: Lock
}

export function generatedPages({ program, deviceHelp, rootfs, lock }: Facts): ReadonlyMap<string, string> {
  return new Map([
    ['docs/reference-commands.md', renderCommands(program)],
    ['docs/reference-config.md', renderConfigKeys(keyReferences())],
    ['docs/reference-device.md', renderDevice(deviceHelp)],
    ['docs/reference-disk.md', renderDisk()],
    ['docs/reference-ports.md', renderPorts()],
    ['docs/reference-units.md', renderUnits(rootfs)],
    ['docs/reference-packages.md', renderPackages(lock)],
  ])
}

function renderCommands(program: Command): string {
  const parts = [
    '# Commands',
    'Every command of `./atomixos` with its arguments and options, from the definitions that the program itself works with. ' +
      '`--help` prints the same.',
  ]
  const visit = (command: Command, path: string) => {
    const { before, after } = helpAround(command)
    parts.push(`${'#'.repeat(Math.max(path.split(' ').length, 2))} ${path}`)
    if (command.description() !== '') parts.push(`${sentence(command.description())}`)
    parts.push(fence('text', `${path} ${command.usage()}`))
    if (command.registeredArguments.length > 0) {
      parts.push(table(['argument', 'what it is'], command.registeredArguments.map(argumentRow)))
    }
    const options = command.options.filter(({ hidden }) => !hidden)
    if (options.length > 0) parts.push(table(['option', 'left out', 'what it does'], options.map(optionRow)))
    for (const text of [before, after]) if (text !== '') parts.push(fence('text', text))
    for (const inner of command.commands) visit(inner, `${path} ${inner.name()}`)
  }
  visit(program, './atomixos')
  return page(parts)
}

function argumentRow(argument: Argument): string[] {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  const choices = argument.argChoices === undefined ? '' : `: ${argument.argChoices.join(', ')}`
  return [code(argument.required ? name : `[${name}]`), text(`${argument.description}${choices}`)]
}

function optionRow(option: Option): string[] {
  const preset =
    option.defaultValue === undefined || typeof option.defaultValue === 'object' || option.negate
      ? ''
      : code(String(option.defaultValueDescription ?? option.defaultValue))
  const choices = option.argChoices === undefined ? '' : `: ${option.argChoices.join(', ')}`
  return [code(option.flags), preset, text(`${option.description}${choices}`)]
}

/** What a command's help says around its lists: the examples, mostly. */
function helpAround(command: Command): { readonly before: string; readonly after: string } {
  const writing = command.configureOutput()
  let whole = ''
  // The same width wherever the site is built.
  command.configureOutput({ writeOut: (part) => (whole += part), getOutHelpWidth: () => 100 })
  const lists = command.helpInformation()
  command.outputHelp()
  command.configureOutput(writing)
  const [before = '', after = ''] = whole.split(lists)
  return { before: before.trim(), after: after.trim() }
}

function renderConfigKeys(keys: readonly KeyReference[]): string {
  const parts = [
    '# Keys of config.toml',
    'Every key that an operator may write, from the contract that validates it. [config.md](config.md) tells how they belong ' +
      'together and has the directives of containers; [config.schema.json](config.schema.json) is the same for editors.',
  ]
  for (const { key, type, required, about, preset, example } of keys) {
    if (type === 'directive') continue
    const left = required ? 'it is needed' : preset === undefined ? undefined : code(preset)
    const facts = [
      `- What: ${text(type)}`,
      ...(left === undefined ? [] : [`- Left out: ${left}`]),
      ...(example === undefined ? [] : [`- For example: ${code(example)}`]),
    ]
    parts.push(`${key.includes('.') ? '###' : '##'} ${code(key)}`, sentence(text(about)), facts.join('\n'))
  }
  return page(parts)
}

function renderDevice(deviceHelp: string): string {
  return page([
    '# On the device',
    '## atomixctl',
    'What `atomixctl help` prints:',
    fence('text', deviceHelp.trimEnd()),
    '## Events',
    `\`atomixctl events\` shows what is in \`${eventLogPath}\`: one JSON object per line, numbered over all starts, each written for ` +
      'good before the device goes on. With `--json` each has `seq`, `time`, `bootId`, `slot`, `event`, and where there is one ' +
      '`version`, `reason` and `detail`.',
    table(
      ['event', 'what it means'],
      Object.entries(lifeCycleEvents).map(([name, meaning]) => [code(name), meaning]),
    ),
    '## Places',
    `Only \`${dataMountPoint}\` persists. [operations.md](operations.md) tells what to keep of it.`,
    table(
      ['path', 'what it is'],
      [
        [
          operatorConfigPath,
          "the operator's configuration; the device counts as provisioned while it is there",
        ],
        [osUpgradeSettingsPath, 'address of the update server, limit of the rate'],
        [quadletFolder, "the containers' Quadlets"],
        [sshOnWanPath, 'made by hand: SSH answers on the WAN while it is there'],
        [updateFolder, 'bundles that are fetched, records of updates'],
        [slotRecordsPath, 'version, reason and time of the state of each slot'],
        [serverAuthoritiesPath, 'made by hand: further authorities for the update server'],
        [deviceLabelsPath, 'what roll-outs may call this device'],
        [eventLogPath, 'the events'],
        [machineIdPath, 'the machine id'],
      ].map(([path, what]) => [code(path!), what!]),
    ),
  ])
}

function renderDisk(): string {
  const rows = partitions.map(({ label, number, offsetBytes, sizeBytes, typeId, made }) => [
    String(number),
    code(label),
    `${offsetBytes / MiB} MiB`,
    sizeBytes === undefined ? 'the rest' : `${sizeBytes / MiB} MiB`,
    made === 'image' ? 'in the image' : 'made at the first start',
    code(typeId),
  ])
  const environments = Object.entries(bootEnvironments).map(
    ([board, { device, offsetsBytes, copyBytes }]) => [
      board,
      code(device),
      offsetsBytes.map((offset) => code(`0x${offset.toString(16)}`)).join(', '),
      `${copyBytes / 1024} KiB`,
    ],
  )
  const types = { s: 'text', d: 'decimal number', b: 'yes or no' }
  return page([
    '# The disk',
    '## Partitions',
    'GPT, found by label only. The names of slots and the layout stay from release to release.',
    table(['number', 'label', 'starts at', 'size', '', 'type'], rows),
    '## In front of the first partition',
    table(
      ['sector of 512 bytes', 'what is there'],
      [
        ['0 to 33', 'partition table'],
        [String(firmwareSectors.idbloader), 'first stage of U-Boot: `idbloader.img`'],
        [String(firmwareSectors.ubootItb), 'U-Boot and TF-A: `u-boot.itb`'],
      ],
    ),
    "## U-Boot's environment",
    'On a device of its own, in two copies. [firmware.md](firmware.md) tells what each state of it leads to.',
    table(['machine', 'device', 'copies at', 'size of each'], environments),
    'All that U-Boot takes from there:',
    table(
      ['variable', 'type'],
      Object.entries(storedVariables).map(([name, type]) => [code(name), types[type]]),
    ),
    `A pending slot has ${bootTries.pending} tries, a confirmed one ${bootTries.confirmed}.`,
  ])
}

function renderPorts(): string {
  const ports = (list: readonly string[]) => list.join(', ')
  return page([
    '# Ports',
    '"Open" is what the firewall lets through; [network.md](network.md) tells the rest. Nothing is forwarded between the interfaces.',
    table(
      ['from', 'protocol', 'ports', 'open'],
      [
        [code(wanInterface), 'TCP, UDP', '', 'nothing, until the configuration opens it'],
        [code(wanInterface), 'TCP', String(sshPort), `only while \`${sshOnWanPath}\` is there`],
        [code(wanInterface), 'TCP', String(apiPort), 'until the device has a configuration; then never'],
        [
          code(lanDefaults.interface),
          'TCP, UDP',
          'all',
          'as long as the configuration lists no ports for the LAN',
        ],
        [code(lanDefaults.interface), 'TCP', ports(platformLanPorts.tcp), 'always'],
        [code(lanDefaults.interface), 'UDP', ports(platformLanPorts.udp), 'always'],
        [code('tun0'), 'TCP', String(sshPort), 'while the recovery tunnel is up'],
        ['others', '', '', 'nothing'],
      ],
    ),
    '## The LAN, if the operator says nothing else',
    table(
      ['what', 'default'],
      [
        ["the gateway's address", code(lanDefaults.gatewayCidr)],
        ['addresses for machines', `${code(lanDefaults.dhcpStart)} to ${code(lanDefaults.dhcpEnd)}`],
        ['domain', code(lanDefaults.domain)],
        ['names of the gateway', lanDefaults.gatewayAliases.map(code).join(', ')],
      ],
    ),
  ])
}

function renderUnits({ modules }: TreeDefinition): string {
  const enabled = new Set(modules.flatMap(({ enable }) => enable ?? []))
  const own = modules.flatMap(({ name, units }) =>
    Object.entries(units ?? {}).map(([unit, { Unit }]) => [
      code(unit),
      text(String(Unit?.Description ?? '')),
      enabled.has(unit) ? 'yes' : '',
      name,
    ]),
  )
  const declared = new Set(modules.flatMap(({ units }) => Object.keys(units ?? {})))
  const ofPackages = modules.flatMap(({ name, enable }) =>
    (enable ?? []).flatMap((unit) => (declared.has(unit) ? [] : [[code(unit), name]])),
  )
  const masked = modules.flatMap(({ name, mask }) =>
    Object.entries(mask ?? {}).map(([unit, reason]) => [code(unit), text(reason), name]),
  )
  return page([
    '# Units',
    'What systemd starts, from the modules below `system/modules/`.',
    '## Of AtomixOS',
    table(['unit', 'what it is', 'enabled', 'module'], own),
    "## Of Debian's packages, enabled",
    table(['unit', 'module'], ofPackages),
    '## That must never start',
    table(['unit', 'why', 'module'], masked),
  ])
}

function renderPackages(lock: Lock): string {
  const { packages } = lock.targets.rootfs!
  return page([
    '# Packages of the image',
    `The root file system is made of these ${packages.length} packages of Debian ${lock.series}, as \`atomixos.lock.json\` names them, ` +
      'less what [image-contents.md](image-contents.md) leaves out. `./atomixos build` writes a bill of materials with the licence of each beside the image: ' +
      '`sbom.cdx.json`.',
    table(
      ['package', 'version', 'source'],
      packages.map(({ name, version, source }) => [code(name), version, source]),
    ),
    'From the npm registry:',
    table(
      ['package', 'version'],
      lock.npm.map(({ name, version }) => [code(name), version]),
    ),
  ])
}

function page(parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function fence(language: string, content: string): string {
  return `\`\`\`${language}\n${content}\n\`\`\``
}

function code(content: string): string {
  return content.includes('`') ? `\`\` ${content} \`\`` : `\`${content}\``
}

/** Text that is no Markdown: nothing in it is a tag. */
function text(content: string): string {
  return content.replaceAll('<', '&lt;')
}

function sentence(content: string): string {
  const first = content.charAt(0).toUpperCase() + content.slice(1)
  return /[.:]$/.test(first) ? first : `${first}.`
}
