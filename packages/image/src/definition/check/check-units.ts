import type { ContentReader } from '../../tree/read-content.ts'
import type { Tree } from '../../tree/tree.ts'
import type { Evaluated } from '../evaluate.ts'
import type { Problem } from '../problems.ts'
import { findPath, findProgram } from './lookup.ts'
import { type LoadedUnit, UnitLibrary } from './unit-graph.ts'

/** What a boot, a device or a message on the bus can start without anybody asking by hand. */
const roots = ['default.target', 'reboot.target', 'poweroff.target', 'emergency.target', 'rescue.target']
const starting = ['Wants', 'Requires', 'Requisite', 'BindsTo', 'Upholds', 'OnFailure', 'OnSuccess'] as const
const demanding = ['Requires', 'Requisite', 'BindsTo'] as const
const ordering = [
  'Wants',
  'Upholds',
  'After',
  'Before',
  'PartOf',
  'Conflicts',
  'OnFailure',
  'OnSuccess',
] as const
/** Made by systemd itself, its generators, or by devices and mounts that appear. */
const dynamic =
  /\.(device|slice|scope|swap|mount|automount)$|^(systemd-fsck@|getty@|serial-getty@|modprobe@|user@)/

/** Units that can start find their programs, accounts and the units they demand; ours find all that they name. */
export async function checkUnits(
  tree: Tree,
  evaluated: Evaluated,
  reader: ContentReader,
): Promise<Problem[]> {
  const library = new UnitLibrary(tree, reader)
  const ours = new Set(evaluated.units.keys())
  const pending = new Set([...roots, ...ours, ...evaluated.enable.keys(), ...(await busUnits(tree, reader))])
  const problems: Problem[] = []
  for (const name of pending) {
    const unit = await library.load(name)
    if (unit === undefined || unit.masked) continue
    for (const other of started(unit, library)) pending.add(other)
    problems.push(
      ...checkCommands(tree, unit),
      ...checkAccounts(unit, evaluated),
      ...checkEnvironment(tree, unit),
    )
    problems.push(...(await checkReferences(unit, ours.has(name), library)))
  }
  return problems
}

function values(unit: LoadedUnit, section: string, directive: string): readonly string[] {
  return unit.text.get(section)?.get(directive) ?? []
}

function words(unit: LoadedUnit, section: string, directive: string): string[] {
  return values(unit, section, directive).flatMap((value) => value.split(/\s+/).filter(Boolean))
}

/** Every unit that this one pulls in or triggers. Names with specifiers are only known at run time. */
function started(unit: LoadedUnit, library: UnitLibrary): string[] {
  const stem = unit.name.replace(/\.[a-z]+$/, '')
  const triggered: string[] = []
  if (unit.name.endsWith('.socket')) {
    const accepts = words(unit, 'Socket', 'Accept')
      .at(-1)
      ?.match(/^(yes|true|1|on)$/i)
    triggered.push(...(words(unit, 'Socket', 'Service').length > 0 ? words(unit, 'Socket', 'Service') : []))
    if (triggered.length === 0) triggered.push(accepts ? `${stem}@.service` : `${stem}.service`)
  }
  if (unit.name.endsWith('.timer')) triggered.push(words(unit, 'Timer', 'Unit').at(-1) ?? `${stem}.service`)
  if (unit.name.endsWith('.path')) triggered.push(words(unit, 'Path', 'Unit').at(-1) ?? `${stem}.service`)
  return [
    ...triggered,
    ...starting.flatMap((directive) => words(unit, 'Unit', directive)),
    ...words(unit, 'Service', 'Sockets'),
    ...(['wants', 'requires', 'upholds'] as const).flatMap((kind) => library.linked(unit.name, kind)),
  ].filter((name) => !name.includes('%'))
}

const commandDirective = /^Exec(Start|StartPre|StartPost|Condition|Reload|Stop|StopPre|StopPost)$/

function checkCommands(tree: Tree, unit: LoadedUnit): Problem[] {
  const problems: Problem[] = []
  for (const section of ['Service', 'Socket', 'Mount', 'Swap']) {
    for (const [directive, commands] of unit.text.get(section) ?? []) {
      if (!commandDirective.test(directive)) continue
      // An empty value drops what came before it: drop-ins replace commands that way.
      for (const command of commands.slice(commands.lastIndexOf('') + 1)) {
        // A leading `-` says that the program may fail, and it may be missing as well.
        if (command.startsWith('-')) continue
        const program = command.replace(/^[@:+!|]+/, '').match(/^"([^"]+)"|^(\S+)/)
        const path = program?.[1] ?? program?.[2] ?? ''
        if (path.includes('%') || path.startsWith('$')) continue
        const state = path.startsWith('/')
          ? findProgram(tree, path)
          : (['/usr/local/bin', '/usr/bin', '/usr/sbin']
              .map((folder) => findProgram(tree, `${folder}/${path}`))
              .find((found) => found !== 'missing') ?? 'missing')
        if (state === 'executable') continue
        problems.push({
          where: `unit ${unit.name}`,
          message: `${directive}= runs ${path}, which is ${state} (${unit.origins.join(', ')})`,
          hint: 'add the package that brings it, or mask the unit with the reason',
        })
      }
    }
  }
  return problems
}

function checkAccounts(unit: LoadedUnit, evaluated: Evaluated): Problem[] {
  if (
    evaluated.users.size === 0 ||
    words(unit, 'Service', 'DynamicUser')
      .at(-1)
      ?.match(/^(yes|true|1|on)$/i)
  )
    return []
  const known = { User: evaluated.users, SocketUser: evaluated.users }
  const knownGroups = {
    Group: evaluated.groups,
    SocketGroup: evaluated.groups,
    SupplementaryGroups: evaluated.groups,
  }
  return ['Service', 'Socket', 'Mount'].flatMap((section) =>
    Object.entries({ ...known, ...knownGroups }).flatMap(([directive, accounts]) =>
      words(unit, section, directive)
        .filter((name) => !name.includes('%') && !/^\d+$/.test(name) && !accounts.has(name))
        .map((name) => ({
          where: `unit ${unit.name}`,
          message: `${directive}=${name}, and there is no such account (${unit.origins.join(', ')})`,
          hint: 'declare it with a fixed id',
        })),
    ),
  )
}

function checkEnvironment(tree: Tree, unit: LoadedUnit): Problem[] {
  return values(unit, 'Service', 'EnvironmentFile')
    .filter(
      (file) =>
        file !== '' && !file.startsWith('-') && !file.includes('%') && findPath(tree, file) === undefined,
    )
    .map((file) => ({
      where: `unit ${unit.name}`,
      message: `EnvironmentFile=${file} is missing (${unit.origins.join(', ')})`,
      hint: 'bring the file, or write a `-` in front of it if it may be missing',
    }))
}

async function checkReferences(unit: LoadedUnit, isOurs: boolean, library: UnitLibrary): Promise<Problem[]> {
  const directives = isOurs ? [...demanding, ...ordering] : demanding
  const named = directives.flatMap((directive) =>
    words(unit, 'Unit', directive).map((name) => ({ directive, name })),
  )
  const linked = library
    .linked(unit.name, 'requires')
    .map((name) => ({ directive: 'a link in .requires', name }))
  const problems: Problem[] = []
  for (const { directive, name } of [...named, ...linked]) {
    if (name.includes('%') || dynamic.test(name)) continue
    const other = await library.load(name)
    const isDemanded = (demanding as readonly string[]).includes(directive) || directive.startsWith('a link')
    if (other === undefined)
      problems.push({
        where: `unit ${unit.name}`,
        message: `${directive}: there is no unit ${name} (${unit.origins.join(', ')})`,
      })
    else if (other.masked && isDemanded)
      problems.push({
        where: `unit ${unit.name}`,
        message: `${directive}: unit ${name} is masked (${[...unit.origins, ...other.origins].join(', ')})`,
      })
  }
  return problems
}

/** Services that a message on the system bus starts. */
async function busUnits(tree: Tree, reader: ContentReader): Promise<string[]> {
  const names: string[] = []
  for (const [path, node] of tree) {
    if (node.type !== 'file' || !/^\/usr\/share\/dbus-1\/system-services\/[^/]+\.service$/.test(path))
      continue
    const match = /^SystemdService=(\S+)$/m.exec(await reader.readText(node.content))
    if (match !== null) names.push(match[1]!)
  }
  return names
}
