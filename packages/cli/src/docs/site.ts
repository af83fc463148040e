import { type Known, pageProblems, resolveLink, siteHref } from './links.ts'
import { type Page, parsePage, renderPage, searchable } from './markdown.ts'
import { outputName, type Section } from './sections.ts'

/** The site as a value: sources in, files and problems out. Same sources, same bytes. */
export interface SiteSources {
  readonly sections: readonly Section[]
  /** Markdown by path relative to the checkout, written and generated ones. */
  readonly texts: ReadonlyMap<string, string>
  readonly generated: ReadonlySet<string>
  /** Style and program of the browser's side, by name. */
  readonly assets: ReadonlyMap<string, string>
  readonly isFile: (path: string) => boolean
  readonly version: string
}

export interface Site {
  readonly pages: ReadonlyMap<string, Page>
  /** By path in the site. */
  readonly files: ReadonlyMap<string, string>
  /** Paths relative to the checkout, to be copied to `filePath(path)`. */
  readonly copies: readonly string[]
  /** One line each; a site with problems is not to be published. */
  readonly problems: readonly string[]
}

export function assembleSite(sources: SiteSources): Site {
  const { sections, texts, generated, isFile } = sources
  const pages = new Map([...texts].map(([path, text]) => [path, parsePage(path, text)]))
  const known: Known = { pages, generated, isFile }
  const order = sections.flatMap((section) => section.pages)
  const listed = order.flatMap((path) => pages.get(path) ?? [])
  const copies = new Set<string>()
  const files = new Map<string, string>(sources.assets)
  for (const [index, page] of listed.entries()) {
    const content = renderPage(page, (href) => {
      const target = resolveLink(page.path, href, known)
      if (target.kind === 'file') copies.add(target.path)
      return siteHref(target)
    })
    const neighbours = { before: listed[index - 1], after: listed[index + 1] }
    files.set(outputName(page.path), renderHtml({ page, content, pages, sources, neighbours }))
  }
  files.set('search-index.js', renderSearchIndex(listed))
  return {
    pages,
    files,
    copies: [...copies].sort(),
    problems: [
      ...listProblems(order, texts),
      ...listed.flatMap((page) => pageProblems(page, known)),
      ...outsideReferences(files),
    ],
  }
}

function listProblems(order: readonly string[], texts: ReadonlyMap<string, string>): string[] {
  const where = 'packages/cli/src/docs/sections.ts'
  const listed = new Set(order)
  return [
    ...[...texts.keys()]
      .filter((path) => !listed.has(path))
      .map((path) => `${path} is in no section: add it to ${where}`),
    ...order.filter((path) => !texts.has(path)).map((path) => `${where} names ${path}, which is not there`),
    ...order
      .filter((path, index) => order.indexOf(path) !== index)
      .map((path) => `${where} names ${path} twice`),
  ]
}

interface HtmlParts {
  readonly page: Page
  readonly content: string
  readonly pages: ReadonlyMap<string, Page>
  readonly sources: SiteSources
  readonly neighbours: { readonly before: Page | undefined; readonly after: Page | undefined }
}

function renderHtml({ page, content, pages, sources, neighbours }: HtmlParts): string {
  const name = page.path === 'README.md' ? 'AtomixOS' : `${page.title} · AtomixOS`
  const shown = page.headings.filter(({ level }) => level === 2)
  const contents = shown.map(
    ({ anchor, text }) => `<li><a href="#${escapeHtml(anchor)}">${escapeHtml(text)}</a></li>`,
  )
  const origin = sources.generated.has(page.path)
    ? 'Made from the code by <code>./atomixos docs build</code>.'
    : `Written in <code>${escapeHtml(page.path)}</code>.`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(name)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="site.css">
<script src="site.js" defer></script>
</head>
<body>
<a class="skip" href="#content">To the text</a>
<header>
<a class="name" href="index.html">AtomixOS</a> <span class="version">${escapeHtml(sources.version)}</span>
<div class="search" role="search" hidden>
<input type="search" id="search" placeholder="Search" aria-label="Search the documentation" aria-controls="found" autocomplete="off">
<ul id="found" class="found" aria-live="polite" hidden></ul>
</div>
</header>
<div class="columns">
<nav class="menu" aria-label="Pages">
<details open>
<summary>Pages</summary>
${sources.sections.map((section) => renderMenu(section, page, pages)).join('\n')}
</details>
</nav>
<main id="content">
${content}<footer>
<p class="origin">${origin}</p>
<nav class="turn" aria-label="Next and previous page">${turn('before', neighbours.before)}${turn('after', neighbours.after)}</nav>
</footer>
</main>
<nav class="contents" aria-label="On this page">${contents.length < 2 ? '' : `<p>On this page</p><ul>${contents.join('')}</ul>`}</nav>
</div>
</body>
</html>
`
}

function renderMenu(
  { title, pages: names }: Section,
  current: Page,
  pages: ReadonlyMap<string, Page>,
): string {
  const items = names.flatMap((path) => {
    const page = pages.get(path)
    if (page === undefined) return []
    const here = page === current ? ' aria-current="page"' : ''
    return [`<li><a href="${outputName(path)}"${here}>${escapeHtml(page.title)}</a></li>`]
  })
  return `<p>${escapeHtml(title)}</p><ul>${items.join('')}</ul>`
}

function turn(direction: 'before' | 'after', page: Page | undefined): string {
  if (page === undefined) return '<span></span>'
  const text = direction === 'before' ? `← ${page.title}` : `${page.title} →`
  const rel = direction === 'before' ? 'prev' : 'next'
  return `<a rel="${rel}" href="${outputName(page.path)}">${escapeHtml(text)}</a>`
}

/** A script and no JSON: browsers fetch no files from a disk, but run scripts from there. */
function renderSearchIndex(pages: readonly Page[]): string {
  const entries = pages.flatMap((page) =>
    searchable(page).map(({ heading, text }) => ({
      href: outputName(page.path) + (heading.level === 1 ? '' : `#${heading.anchor}`),
      page: page.title,
      title: heading.text,
      text,
    })),
  )
  return `globalThis.searchEntries = ${JSON.stringify(entries).replaceAll('<', '\\u003c')}\n`
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

const textNames = /\.(html|css|js|svg)$/

/** Whatever a browser would fetch or run from elsewhere. A link that a person follows may lead outside. */
export function outsideReferences(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([name, content]) => {
    if (!textNames.test(name)) return []
    const found = [
      ...content.matchAll(
        /<(?!a\b)[a-z]+\b[^>]*?\b(?:src|href|srcset|action|data|poster)="((?:https?:)?\/\/[^"]*)"/g,
      ),
      ...content.matchAll(
        /(?:@import\s+|url\(\s*|\bfetch\(\s*|\bimport\(\s*)["']?((?:https?:)?\/\/[^"')\s]*)/g,
      ),
    ]
    return found.map(([, address]) => `${name}: ${address}`)
  })
}
