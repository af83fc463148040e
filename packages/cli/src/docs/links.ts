import { posix } from 'node:path'
import type { Page } from './markdown.ts'
import { outputName } from './sections.ts'

/** Where a link of a page leads. `file`: something of this repository that is no page. */
export type Target =
  | { readonly kind: 'outside'; readonly href: string }
  | { readonly kind: 'page'; readonly page: string; readonly anchor: string | undefined }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'broken'; readonly why: string }

export interface Known {
  readonly pages: ReadonlyMap<string, Page>
  /** Pages that are made by the build: not there for who reads the sources. */
  readonly generated: ReadonlySet<string>
  readonly isFile: (path: string) => boolean
}

/** Pure, but for what `isFile` does. */
export function resolveLink(from: string, href: string, known: Known): Target {
  if (/^[a-z][a-z0-9+.-]*:/i.test(href)) {
    return /^(https|mailto):/.test(href)
      ? { kind: 'outside', href }
      : { kind: 'broken', why: 'only https and mailto lead outside' }
  }
  const [path = '', anchor] = href.split('#', 2)
  const resolved =
    path === '' ? from : path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(from), path)
  if (resolved === 'docs/') return { kind: 'page', page: 'README.md', anchor: undefined }
  const page = known.pages.get(resolved)
  if (page === undefined) {
    if (!resolved.endsWith('.md') && known.isFile(resolved)) return { kind: 'file', path: resolved }
    return { kind: 'broken', why: `there is no ${resolved} in the site` }
  }
  if (known.generated.has(resolved) && !known.generated.has(from)) {
    return { kind: 'broken', why: `${resolved} is generated: who reads the sources does not have it` }
  }
  if (anchor !== undefined && !page.headings.some((heading) => heading.anchor === anchor)) {
    return { kind: 'broken', why: `${resolved} has no heading with the anchor "${anchor}"` }
  }
  return { kind: 'page', page: resolved, anchor }
}

/** `href` in the site. Everything is relative: the site works in any folder, and from a disk. */
export function siteHref(target: Target): string {
  switch (target.kind) {
    case 'outside':
      return target.href
    case 'page':
      return outputName(target.page) + (target.anchor === undefined ? '' : `#${target.anchor}`)
    case 'file':
      return filePath(target.path)
    case 'broken':
      return '#'
  }
}

/** Where the site has a copy of a file of this repository. */
export function filePath(path: string): string {
  return `files/${path}`
}

/** `docs/flash.md:12: ...` for each link that leads nowhere and all text that would be taken for HTML. */
export function pageProblems(page: Page, known: Known): string[] {
  const broken = page.links.flatMap(({ href, line }) => {
    const target = resolveLink(page.path, href, known)
    return target.kind === 'broken' ? [`${page.path}:${line}: link to ${href}: ${target.why}`] : []
  })
  const html = page.rawHtml.map(
    ({ line, text }) => `${page.path}:${line}: ${text.trim()} is taken for HTML; write it between backticks`,
  )
  const untitled = page.title === '' ? [`${page.path}: there is no heading of the first level`] : []
  return [...untitled, ...broken, ...html]
}
