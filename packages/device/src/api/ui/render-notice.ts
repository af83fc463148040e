import { html } from './html.ts'
import { renderPage } from './page.ts'

/** A page with nothing to do on it. Pure. */
export function renderNotice(title: string, ...paragraphs: readonly string[]): string {
  return renderPage({
    title: `${title} - AtomixOS`,
    main: html`<h1>${title}</h1>${paragraphs.map((text) => html`<p>${text}</p>`)}`,
  })
}
