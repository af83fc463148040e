import MarkdownIt, { type Token } from 'markdown-it'

/** One page as it is written, and what others must know of it. Pure. */
export interface Page {
  /** Relative to the checkout: `docs/flash.md`. */
  readonly path: string
  readonly title: string
  readonly headings: readonly Heading[]
  readonly links: readonly Link[]
  readonly blocks: readonly CodeBlock[]
  /** HTML that would be taken for itself, such as a `<name>` that was meant as text. */
  readonly rawHtml: readonly { readonly line: number; readonly text: string }[]
  readonly tokens: readonly Token[]
}

export interface Heading {
  readonly level: number
  readonly text: string
  /** As git forges make them of the text. */
  readonly anchor: string
}

export interface Link {
  /** Relative to the page, as it is written; `/docs/x.md` for a name in running text, relative to the checkout. */
  readonly href: string
  readonly line: number
}

export interface CodeBlock {
  readonly language: string
  readonly text: string
  readonly line: number
}

const markdown = new MarkdownIt({ html: true })

export function parsePage(path: string, text: string): Page {
  const tokens = markdown.parse(text, {})
  const headings: Heading[] = []
  const links: Link[] = []
  const blocks: CodeBlock[] = []
  const rawHtml: { line: number; text: string }[] = []
  const anchors = new Map<string, number>()
  for (const [index, token] of tokens.entries()) {
    const line = (token.map?.[0] ?? 0) + 1
    if (token.type === 'heading_open') {
      const content = plainText(tokens[index + 1]!)
      const anchor = uniqueAnchor(anchorOf(content), anchors)
      token.attrSet('id', anchor)
      headings.push({ level: Number(token.tag.slice(1)), text: content, anchor })
    }
    if (token.type === 'fence') blocks.push({ language: token.info.trim(), text: token.content, line })
    if (token.type === 'html_block') rawHtml.push({ line, text: token.content })
    if (token.type !== 'inline') continue
    token.children = linkNamedPages(token.children ?? [])
    for (const child of token.children) {
      const href = child.attrGet(child.type === 'image' ? 'src' : 'href')
      if (href !== null) links.push({ href: decodeURI(String(href)), line })
      if (child.type === 'html_inline') rawHtml.push({ line, text: child.content })
    }
  }
  return {
    ...{ path, headings, links, blocks, tokens },
    rawHtml: rawHtml.filter(({ text: html }) => !html.trim().startsWith('<!--')),
    title: headings.find(({ level }) => level === 1)?.text ?? '',
  }
}

/** HTML of a page; `target` says where each link leads in the site. */
export function renderPage(page: Page, target: (href: string) => string): string {
  // Tokens are the parser's own objects: copied, so that a page can be rendered twice.
  const tokens = page.tokens.map((token) => {
    if (token.type !== 'inline') return token
    const children = token.children!.map((child) => {
      const name = child.type === 'image' ? 'src' : 'href'
      const href = child.attrGet(name)
      if (href === null) return child
      const copy = Object.assign(Object.create(Object.getPrototypeOf(child)), child) as Token
      copy.attrs = child.attrs!.map(([key, value]) => [
        key,
        key === name ? target(decodeURI(String(value))) : value,
      ])
      return copy
    })
    return Object.assign(Object.create(Object.getPrototypeOf(token)), token, { children }) as Token
  })
  return markdown.renderer
    .render(tokens, markdown.options, {})
    .replaceAll('<table>', '<div class="table"><table>')
    .replaceAll('</table>', '</table></div>')
    .replaceAll('<pre>', '<pre tabindex="0">')
}

/** What is under each heading, as plain text for the search. */
export function searchable(page: Page): { heading: Heading; text: string }[] {
  const parts: { heading: Heading; text: string }[] = []
  let next = 0
  for (const [index, token] of page.tokens.entries()) {
    if (token.type === 'heading_open') parts.push({ heading: page.headings[next++]!, text: '' })
    const part = parts.at(-1)
    if (part === undefined || page.tokens[index - 1]?.type === 'heading_open') continue
    if (token.type === 'inline') part.text += `${plainText(token)} `
    if (token.type === 'fence' || token.type === 'code_block') part.text += `${token.content} `
  }
  return parts.map(({ heading, text }) => ({ heading, text: text.replace(/\s+/g, ' ').trim() }))
}

function plainText(inline: Token): string {
  return (inline.children ?? [])
    .map((child) => (child.type === 'softbreak' ? ' ' : child.type.startsWith('html') ? '' : child.content))
    .join('')
}

/** As git forges do it: lower case, without punctuation, hyphens for spaces. */
export function anchorOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-')
}

function uniqueAnchor(anchor: string, taken: Map<string, number>): string {
  const before = taken.get(anchor)
  taken.set(anchor, (before ?? 0) + 1)
  return before === undefined ? anchor : `${anchor}-${before}`
}

/** `docs/x.md` in running text leads there, too. */
function linkNamedPages(children: readonly Token[]): Token[] {
  let inLink = false
  return children.flatMap((child) => {
    if (child.type === 'link_open') inLink = true
    if (child.type === 'link_close') inLink = false
    if (child.type !== 'text' || inLink) return [child]
    return child.content.split(/(\bdocs\/[a-z-]+\.md\b)/).flatMap((part, index) => {
      const text = Object.assign(Object.create(Object.getPrototypeOf(child)), child, { content: part })
      if (index % 2 === 0) return part === '' ? [] : [text as Token]
      const [open, , close] = markdown.parseInline(`[x](/${part})`, {})[0]!.children!
      return [open!, text as Token, close!]
    })
  })
}
