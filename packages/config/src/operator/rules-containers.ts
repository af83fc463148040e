import { checkSchema, isTable } from './check-schema.ts'
import { nearest } from './nearest.ts'
import type { Path, Tell } from './places.ts'
import { valueText } from './places.ts'
import {
  checkSection,
  checkUnitSection,
  enforceContainer,
  type Lines,
  linesOf,
  parsePublished,
  scalarText,
} from './quadlet/boundary.ts'
import { isReservedService } from './quadlet/reserved-services.ts'
import { sectionOf, type Unit, unitsOf } from './quadlet/units.ts'
import { isServiceName, unitNamePattern } from './quadlet/values.ts'
import type { Directive } from './words.ts'

/** Of `[containers]`, however wrong the rest of it is. */
export function checkContainers(config: unknown, tell: Tell, warn: Tell): void {
  const units = unitsOf(config)
  checkServices(units, tell)
  checkReferences(units, tell)
  for (const unit of units) {
    const { kind, path, value, modes } = unit
    if (!isTable(value)) continue
    const section = value[sectionOf[kind]]
    if (kind === 'container') {
      if (!modes.includes('rootless')) {
        checkImage(section, [...path, 'Container'], tell)
        checkInstall(value['Install'], [...path, 'Install'], tell)
      }
      if (isTable(section) && Object.hasOwn(section, 'Group') && !Object.hasOwn(section, 'User')) {
        tell(
          [...path, 'Container', 'Group'],
          'there is no User with it',
          'Quadlet takes a Group only with a User',
        )
      }
      warnOfOrder(value['Unit'], [...path, 'Unit'], warn)
    }
    if (modes.includes('rootless')) {
      checkSection(sectionOf[kind], section, [...path, sectionOf[kind]], tell)
      if (kind === 'container') {
        checkUnitSection('Unit', value['Unit'], [...path, 'Unit'], tell)
        checkUnitSection('Install', value['Install'], [...path, 'Install'], tell)
      }
    }
    if (kind === 'container') {
      const replaced = replacedLines(section)
      if (replaced !== undefined) enforceContainer(replaced, modes[0]!, [...path, 'Container'], warn)
    }
  }
  warnOfSharedPorts(units, warn)
}

/** Of a section what enforcing looks at, as lines; undefined when that is not valid, or not there. */
function replacedLines(section: unknown): Lines | undefined {
  if (!isTable(section)) return undefined
  const found: Record<string, Directive> = {}
  let valid = true
  for (const name of ['Network', 'PublishPort']) {
    if (!Object.hasOwn(section, name)) continue
    found[name] = section[name] as Directive
    checkSchema({ kind: 'directive', about: '', once: false }, section[name], [], () => {
      valid = false
    })
  }
  return valid && Object.keys(found).length > 0 ? linesOf(found) : undefined
}

function checkImage(section: unknown, path: Path, tell: Tell): void {
  if (!isTable(section) || !Object.hasOwn(section, 'Image')) return
  const image = Array.isArray(section['Image']) ? section['Image'][0] : section['Image']
  const text = scalarText(image)
  if (text.trim() === '') tell([...path, 'Image'], 'it is empty', 'for example "docker.io/library/caddy:2"')
  // Podman would take it for an option, and the first word of Exec for the image.
  else if (text.startsWith('-')) tell([...path, 'Image'], `${valueText(text)} is not the name of an image`)
}

/** Quadlet makes links of these names. With a path in one, a link would be anywhere. */
function checkInstall(install: unknown, path: Path, tell: Tell): void {
  if (!isTable(install)) return
  for (const [name, member] of Object.entries(install)) {
    for (const [index, item] of (Array.isArray(member) ? member : [member]).entries()) {
      const place = [...path, name, ...(Array.isArray(member) ? [index] : [])]
      for (const word of scalarText(item).split(/\s+/)) {
        if (word === '') continue
        if (!unitNamePattern.test(word))
          tell(place, `${valueText(word)} is not the name of a unit`, 'for example "multi-user.target"')
        else if (name === 'Alias' && isReservedService(word))
          tell(place, `${word} is a service of the system`, 'choose another name')
      }
    }
  }
}

const orders = /(?:^|\s)([^\s/]+)\.(?:container|network|volume|build)(?=\s|$)/

function warnOfOrder(section: unknown, path: Path, warn: Tell): void {
  if (!isTable(section)) return
  for (const [name, member] of Object.entries(section)) {
    if (!/^(?:After|Before|BindsTo|PartOf|Requires|Requisite|Upholds|Wants|Conflicts)$/.test(name)) continue
    for (const item of Array.isArray(member) ? member : [member]) {
      const match = orders.exec(scalarText(item))
      if (match !== null)
        warn(
          [...path, name],
          `podman 5.4 does not know ${match[0].trim()} here`,
          `write the name of its service, such as ${match[1]}.service`,
        )
    }
  }
}

function checkServices(units: readonly Unit[], tell: Tell): void {
  const owners = new Map<string, Unit>()
  for (const unit of units) {
    const { service, path, value, kind } = unit
    const section = isTable(value) ? value[sectionOf[kind]] : undefined
    const named = isTable(section) && Object.hasOwn(section, 'ServiceName')
    const place = named ? [...path, sectionOf[kind], 'ServiceName'] : path
    if (named && !isServiceName(service.slice(0, -'.service'.length))) {
      tell(
        place,
        `${valueText(service)} is not the name of a service`,
        'letters, digits, hyphens, underscores and dots, without .service',
      )
    }
    if (isReservedService(service))
      tell(place, `${service} is a service of the system`, 'choose another name')
    const owner = owners.get(service)
    if (owner !== undefined)
      tell(place, `${service} is the service of ${owner.file} as well`, 'choose another name')
    owners.set(service, unit)
  }
}

function checkReferences(units: readonly Unit[], tell: Tell): void {
  const files = new Set(units.map(({ file }) => file))
  for (const unit of units) {
    for (const { file, path } of unit.references) {
      if (files.has(file)) continue
      const kind = file.slice(file.lastIndexOf('.') + 1)
      const name = file.slice(0, file.lastIndexOf('.'))
      const same = units.filter((other) => other.kind === kind).map((other) => other.name)
      const meant = nearest(name, same)
      tell(
        path,
        `there is no ${kind} ${valueText(name)}`,
        meant === undefined ? undefined : `did you mean "${meant}.${kind}"?`,
      )
    }
  }
}

/** Two that publish the same port: one of them will not start. */
function warnOfSharedPorts(units: readonly Unit[], warn: Tell): void {
  const owners = new Map<string, string>()
  for (const { kind, name, modes, path, value } of units) {
    if (
      kind !== 'container' ||
      !modes.includes('rootless') ||
      !isTable(value) ||
      !isTable(value['Container'])
    )
      continue
    const member = value['Container']['PublishPort']
    for (const [index, item] of (Array.isArray(member) ? member : [member]).entries()) {
      const port = parsePublished(scalarText(item))
      if (port === undefined) continue
      const place = [...path, 'Container', 'PublishPort', ...(Array.isArray(member) ? [index] : [])]
      if (port.first < 1024)
        warn(
          place,
          `port ${port.first} is below 1024`,
          'without privileges it cannot be bound: take a higher one',
        )
      const key = `${port.protocol} ${port.first}-${port.last}`
      const owner = owners.get(key)
      if (owner !== undefined)
        warn(place, `"${owner}" publishes this port as well`, 'one of them will not start')
      owners.set(key, name)
    }
  }
}
