import { describe, expect, test } from 'vitest'
import { pageProblems, resolveLink } from './links.ts'
import { anchorOf, parsePage, renderPage, searchable } from './markdown.ts'
import { assembleSite, outsideReferences } from './site.ts'

const keep = (href: string) => href

describe('a page', () => {
  const text = [
    '# Title with `code`',
    '',
    'Words, see docs/other.md and [this](other.md#the-place).',
    '',
    '## The place',
    '',
    '```sh',
    './atomixos build',
    '```',
    '',
    '## The place',
    '',
    '| a | b |',
    '| --- | --- |',
    '| `x \\| y` | <!-- quiet --> z |',
    '',
  ].join('\n')
  const page = parsePage('docs/page.md', text)

  test('has a title, headings with the anchors that forges make, blocks and links with their lines', () => {
    expect(page.title).toBe('Title with code')
    expect(page.headings.map(({ level, anchor }) => [level, anchor])).toEqual([
      [1, 'title-with-code'],
      [2, 'the-place'],
      [2, 'the-place-1'],
    ])
    expect(page.blocks).toEqual([{ language: 'sh', text: './atomixos build\n', line: 7 }])
    expect(page.links).toEqual([
      { href: '/docs/other.md', line: 3 },
      { href: 'other.md#the-place', line: 3 },
    ])
    expect(page.rawHtml).toEqual([])
  })

  test('is rendered with other addresses, twice the same', () => {
    const html = renderPage(page, (href) => `to:${href}`)
    expect(html).toContain('<a href="to:/docs/other.md">docs/other.md</a>')
    expect(html).toContain('<a href="to:other.md#the-place">this</a>')
    expect(html).toContain('<div class="table"><table>')
    expect(html).toContain('<code>x | y</code>')
    expect(renderPage(page, (href) => `to:${href}`)).toBe(html)
    expect(renderPage(page, keep)).toContain('<a href="other.md#the-place">')
  })

  test('is searched by heading, code too', () => {
    expect(searchable(page).map(({ heading, text: words }) => [heading.anchor, words])).toEqual([
      ['title-with-code', 'Words, see docs/other.md and this.'],
      ['the-place', './atomixos build'],
      ['the-place-1', 'a b x | y z'],
    ])
  })

  test.each([
    ['What is refused, and what holds then', 'what-is-refused-and-what-holds-then'],
    ['/data cannot be mounted', 'data-cannot-be-mounted'],
    ["The environment's place", 'the-environments-place'],
    ['[Unit] and [Install]', 'unit-and-install'],
    ['BOOT_A_LEFT – Straße', 'boot_a_left--straße'],
  ])('%s: #%s', (heading, anchor) => {
    expect(anchorOf(heading)).toBe(anchor)
  })
})

describe('links', () => {
  const pages = new Map(
    [
      parsePage('README.md', '# Home\n'),
      parsePage('docs/a.md', '# A\n\n## Part\n'),
      parsePage('docs/made.md', '# Made\n'),
    ].map((page) => [page.path, page]),
  )
  const known = {
    pages,
    generated: new Set(['docs/made.md']),
    isFile: (path: string) => path === 'docs/config.schema.json',
  }
  const problems = (text: string) => pageProblems(parsePage('docs/b.md', `# B\n\n${text}\n`), known)

  test.each([
    ['a.md#part', { kind: 'page', page: 'docs/a.md', anchor: 'part' }],
    ['../README.md', { kind: 'page', page: 'README.md', anchor: undefined }],
    ['config.schema.json', { kind: 'file', path: 'docs/config.schema.json' }],
    ['https://example.com/', { kind: 'outside', href: 'https://example.com/' }],
  ])('%s leads somewhere', (href, target) => {
    expect(resolveLink('docs/b.md', href, known)).toEqual(target)
  })

  test.each([
    ['[x](c.md)', 'docs/b.md:3: link to c.md: there is no docs/c.md in the site'],
    [
      '[x](a.md#nowhere)',
      'docs/b.md:3: link to a.md#nowhere: docs/a.md has no heading with the anchor "nowhere"',
    ],
    ['[x](#none)', 'docs/b.md:3: link to #none: there is no docs/b.md in the site'],
    ['![x](none.svg)', 'docs/b.md:3: link to none.svg: there is no docs/none.svg in the site'],
    ['see docs/c.md', 'docs/b.md:3: link to /docs/c.md: there is no docs/c.md in the site'],
    [
      '[x](http://example.com)',
      'docs/b.md:3: link to http://example.com: only https and mailto lead outside',
    ],
    [
      '[x](made.md)',
      'docs/b.md:3: link to made.md: docs/made.md is generated: who reads the sources does not have it',
    ],
    ['a <name> in text', 'docs/b.md:3: <name> is taken for HTML; write it between backticks'],
  ])('%s is told: %s', (text, problem) => {
    expect(problems(text)).toEqual([problem])
  })
})

describe('a site', () => {
  const build = (texts: Record<string, string>, pages: string[]) =>
    assembleSite({
      sections: [{ title: 'All', pages }],
      texts: new Map(Object.entries(texts)),
      generated: new Set(),
      assets: new Map(),
      isFile: () => false,
      version: '1.0.0',
    })

  test('tells of pages in no section, twice in one, and not there', () => {
    const site = build({ 'README.md': '# Home', 'docs/a.md': '# A' }, [
      'README.md',
      'README.md',
      'docs/gone.md',
    ])
    expect(site.problems).toEqual([
      'docs/a.md is in no section: add it to packages/cli/src/docs/sections.ts',
      'packages/cli/src/docs/sections.ts names docs/gone.md, which is not there',
      'packages/cli/src/docs/sections.ts names README.md twice',
    ])
  })

  test('text is text, wherever it stands', () => {
    const site = build({ 'README.md': '# `<script>` & "co"\n\n## `</title>`\n' }, ['README.md'])
    expect(site.files.get('index.html')).not.toMatch(/<script>|<\/title>.*<\/title>/s)
    expect(site.files.get('search-index.js')).not.toContain('<')
  })

  test.each([
    '<img src="https://example.com/x.png">',
    '<script src="//example.com/x.js"></script>',
    '<link rel="stylesheet" href="https://example.com/x.css">',
    '<style>@import "https://example.com/x.css"</style>',
    'a { background: url(https://example.com/x.png) }',
    'fetch("https://example.com/x")',
  ])('what it would load from elsewhere is found: %s', (content) => {
    expect(outsideReferences(new Map([['x.html', content]]))).toHaveLength(1)
  })
  test('a link that a person follows is none of these', () => {
    expect(outsideReferences(new Map([['x.html', '<a href="https://example.com/">x</a>']]))).toEqual([])
  })
})
