import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConfig } from './parse-config.ts'
import { unitVerdict } from './quadlet/directives.ts'
import { renderReference } from './reference.ts'
import { leastToml } from './test-configs.ts'

const docs = join(import.meta.dirname, '../../../../docs')
const page = await readFile(join(docs, 'config.md'), 'utf8')

describe('docs/config.md', () => {
  test('the tables are what the contract gives', () => {
    const [, tables = ''] = page.split('<!-- `./atomixos config explain --markdown` -->\n\n')
    expect(tables).toBe(renderReference())
  })

  const examples = [...page.matchAll(/```toml\n([\s\S]*?)```/g)].map(([, text]) => text!)
  test.each(examples)('an example is valid: %s', (example) => {
    const text = example.startsWith('version') ? example : `${leastToml}\n${example}`
    expect(parseConfig(text)).toMatchObject({ problems: [], warnings: [] })
  })

  test('there are examples', () => {
    expect(examples.length).toBeGreaterThanOrEqual(3)
  })

  test('what it shows of a problem is what is told', () => {
    const text = `${leastToml.split('\n').slice(0, 8).join('\n')}\n`
    const { problems } = parseConfig(
      `${text.split('\n').slice(0, 7).join('\n')}\n[network.dnsmasq]\ndhcpStart = "172.20.30.50"\n`,
    )
    const problem = problems.find(({ path }) => path === 'network.dnsmasq.dhcpStart')!
    expect(page).toContain(
      `config.toml:${problem.line}:${problem.column}: ${problem.path}: ${problem.message}`,
    )
    expect(page).toContain(`  ${problem.hint}\n`)
  })

  test('what it lists of [Unit] and [Install] is allowed', () => {
    const [, rest = ''] = page.split('### [Unit] and [Install] without privileges\n')
    const [listed = ''] = rest.split('\n## ')
    const names = [...listed.matchAll(/`([A-Z][A-Za-z]+)`/g)].map(([, name]) => name!)
    expect(names.length).toBeGreaterThan(25)
    for (const name of names) {
      const verdict = unitVerdict('Unit', name) ?? unitVerdict('Install', name)
      expect([name, verdict?.verdict]).not.toEqual([name, undefined])
      expect([name, verdict?.verdict]).not.toEqual([name, 'refused'])
    }
  })
})

test.each(['gateway.toml', 'proxy/config.toml', 'proxy/traefik/config.toml'])(
  'docs/examples/%s is valid, without a warning',
  async (name) => {
    const text = await readFile(join(docs, 'examples', name))
    expect(parseConfig(text)).toMatchObject({ problems: [], warnings: [] })
  },
)
