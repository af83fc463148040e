import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { lifeCycleEvents, partitions } from '@atomixos/config'
import { keyReferences, parseConfig } from '@atomixos/config/operator/index.ts'
import { workspaceAt } from '@atomixos/image/workspace.ts'
import { gateway } from '@atomixos/system'
import type { Command } from 'commander'
import { parse as parseToml } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { readTexts } from '../checks/documented-commands.ts'
import { createProgram } from '../program.ts'
import { TerminalReporter } from '../terminal-reporter.ts'
import { filePath } from './links.ts'
import { readSources } from './read-sources.ts'
import { outputName, sections } from './sections.ts'
import { assembleSite, outsideReferences } from './site.ts'

/** The site of this very checkout. */
const rootDir = join(import.meta.dirname, '../../../..')
const workspace = workspaceAt(rootDir)
const program = createProgram({
  workspace,
  reporter: new TerminalReporter(),
  signal: new AbortController().signal,
})
const sources = await readSources(workspace, { program })
const site = assembleSite(sources)
const written = [...site.pages.values()].filter(({ path }) => !sources.generated.has(path))

describe('the site', () => {
  test('has every page of docs/, and no link that leads nowhere', () => {
    expect(site.problems).toEqual([])
    const names = readdirSync(join(rootDir, 'docs')).filter((name) => name.endsWith('.md'))
    expect(names.length).toBeGreaterThan(20)
    for (const name of names) expect(site.files.has(outputName(`docs/${name}`)), name).toBe(true)
  })

  test('is the same to the last byte when it is built again', async () => {
    const again = assembleSite(await readSources(workspace, { program }))
    expect([...again.files]).toEqual([...site.files])
  })

  test('loads nothing from other hosts', () => {
    expect(outsideReferences(site.files)).toEqual([])
    const library = [...site.files].filter(([name]) => !name.endsWith('.html') && name !== 'search-index.js')
    expect(library.map(([name]) => name).sort()).toEqual(['site.css', 'site.js'])
    for (const [, content] of library) expect(content).not.toMatch(/https?:\/\//)
  })

  test('refers by relative names only, to files and anchors that it has', () => {
    const ids = new Map(
      [...site.files].map(([name, content]) => [
        name,
        new Set([...content.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
      ]),
    )
    let count = 0
    for (const [name, content] of site.files) {
      if (!name.endsWith('.html')) continue
      for (const [, address] of content.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (/^(https:|mailto:|data:,)/.test(address!)) continue
        const [path = '', anchor] = decodeURI(address!).split('#')
        const target = path === '' ? name : path
        const there = site.files.has(target) || site.copies.map(filePath).includes(target)
        expect(there, `${name}: ${address}`).toBe(true)
        if (anchor !== undefined) expect(ids.get(target)?.has(anchor), `${name}: ${address}`).toBe(true)
        count += 1
      }
    }
    expect(count).toBeGreaterThan(1000)
  })

  test('has whole pages: every tag that is opened is closed, no id is there twice', () => {
    for (const [name, content] of site.files) {
      if (!name.endsWith('.html')) continue
      expect(unclosedTags(content), name).toEqual([])
      const ids = [...content.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)
      expect(ids.length, name).toBe(new Set(ids).size)
      expect(content.match(/<h1/g), name).toHaveLength(1)
    }
  })

  test('has pictures that say what they show, and nothing in them that runs', async () => {
    const { readFile } = await import('node:fs/promises')
    const pictures = site.copies.filter((path) => path.endsWith('.svg'))
    expect(pictures.length).toBeGreaterThanOrEqual(3)
    for (const path of pictures) {
      const text = await readFile(join(rootDir, path), 'utf8')
      expect(text, path).toMatch(/<svg [^>]*role="img" aria-label="[^"]{20,}"/)
      expect(text, path).not.toMatch(/<script|xlink:|href=|@import|url\((?!#)/)
    }
  })
})

describe('the reference has', () => {
  const page = (name: string) => site.files.get(`reference-${name}.html`)!
  const plain = (name: string) =>
    page(name)
      .replace(/<[^>]+>/g, '')
      .replaceAll('&lt;', '<')
      .replaceAll('&gt;', '>')

  test('every command, option and argument', () => {
    const text = plain('commands')
    const visit = (command: Command, path: string) => {
      expect(text).toContain(path)
      for (const { flags } of command.options) expect(text, path).toContain(flags)
      for (const argument of command.registeredArguments) expect(text, path).toContain(argument.name())
      for (const inner of command.commands) visit(inner, `${path} ${inner.name()}`)
    }
    visit(program, './atomixos')
  })

  test('every key of the configuration', () => {
    for (const { key, type } of keyReferences()) {
      if (type !== 'directive') expect(plain('config')).toContain(key)
    }
  })

  test('partitions, units, packages', () => {
    for (const { label, typeId } of partitions) {
      expect(plain('disk')).toContain(label)
      expect(plain('disk')).toContain(typeId)
    }
    for (const { units, enable } of gateway.modules) {
      for (const unit of [...Object.keys(units ?? {}), ...(enable ?? [])]) {
        expect(plain('units')).toContain(unit)
      }
    }
    expect(plain('packages')).toContain('podman')
  })

  test('what atomixctl says of itself, and every event that a device writes', async () => {
    expect(plain('device')).toContain('atomixctl update install FILE')
    for (const name of Object.keys(lifeCycleEvents)) expect(plain('device')).toContain(name)
    const device = (await readTexts(rootDir)).filter(
      ({ path }) => path.startsWith('packages/device/src/') && !/test/.test(path),
    )
    const named = new Set(
      device.flatMap(({ text }) => [...text.matchAll(/\bevent: '([a-z-]+)'/g)].map(([, name]) => name!)),
    )
    const unwritten = Object.keys(lifeCycleEvents).filter((name) => !named.has(name))
    expect(unwritten).toEqual(['time-set'])
  })
})

describe('in the pages', () => {
  const blocks = written.flatMap(({ path, blocks: own }) =>
    own.map((block) => ({ ...block, where: `${path}:${block.line}` })),
  )
  const ofLanguage = (language: string) => blocks.filter((block) => block.language === language)

  test('whole configurations are valid, without a warning; other TOML can be read', () => {
    const whole = ofLanguage('toml').filter(({ text }) => text.startsWith('version = '))
    expect(whole.length).toBeGreaterThanOrEqual(2)
    for (const { text, where } of whole) {
      const { problems, warnings } = parseConfig(text)
      expect({ where, problems, warnings }).toEqual({ where, problems: [], warnings: [] })
    }
    for (const { text, where } of ofLanguage('toml')) {
      expect(() => parseToml(text), where).not.toThrow()
    }
  })

  test('JSON can be read', () => {
    for (const { text, where } of ofLanguage('json')) expect(() => JSON.parse(text), where).not.toThrow()
  })

  test('blocks have a language that is known', () => {
    const languages = ['', 'console', 'json', 'sh', 'text', 'toml', 'ts']
    expect(blocks.filter(({ language }) => !languages.includes(language)).map(({ where }) => where)).toEqual(
      [],
    )
  })

  test('every command of atomixctl is one that its help names', () => {
    const help = site.pages.get('docs/reference-device.md')!.blocks[0]!.text
    const known = new Set([...help.matchAll(/^ {2}atomixctl ([a-z-]+)/gm)].map(([, name]) => name!))
    const mentioned = [...sources.texts].flatMap(([path, text]) =>
      [...text.matchAll(/(?:^\s*|`|&& )atomixctl ([a-z-]+)/gm)].map(([, name]) => ({ path, name: name! })),
    )
    expect(mentioned.length).toBeGreaterThan(30)
    const unknown = mentioned.filter(({ name }) => !known.has(name) && !['help', 'verify'].includes(name))
    expect(unknown).toEqual([])
  })

  test('every file of this repository that is named is there', () => {
    const named = [...sources.texts].flatMap(([path, text]) =>
      [...text.matchAll(/`((?:packages|system|e2e|bench|docs)\/[\w./-]+\.[a-z0-9]+)`/g)].map(([, file]) => ({
        path,
        file: file!,
      })),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ file }) => !sources.isFile(file))).toEqual([])
  })
})

test('the menu names each page once', () => {
  const names = sections.flatMap(({ pages }) => pages.map(outputName))
  expect(names.length).toBe(new Set(names).size)
})

const withoutEnd = new Set(['meta', 'link', 'input', 'br', 'hr', 'img', '!doctype'])

/** Names of tags that are open at the end, or closed without having been opened. */
function unclosedTags(html: string): string[] {
  const open: string[] = []
  const wrong: string[] = []
  for (const [, end, name] of html.matchAll(/<(\/?)(!?[a-z][a-z0-9]*)\b[^>]*>/gi)) {
    const tag = name!.toLowerCase()
    if (withoutEnd.has(tag)) continue
    if (end === '') open.push(tag)
    else if (open.at(-1) === tag) open.pop()
    else wrong.push(`</${tag}>`)
  }
  return [...wrong, ...open]
}
