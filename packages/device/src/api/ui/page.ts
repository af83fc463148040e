import { createHash } from 'node:crypto'
import { Html, html } from './html.ts'
import { script } from './script.ts'
import { style } from './style.ts'

export interface Page {
  readonly title: string
  readonly main: Html
  /** Loads itself anew after so many seconds where there is no JavaScript. */
  readonly refreshS?: number | undefined
  /** Said aloud by screen readers when the page changes. */
  readonly said?: string | undefined
  /** With JavaScript: the page goes on changing. */
  readonly live?: { readonly silent: string } | undefined
}

/** Nothing runs and nothing is styled but these two texts; nothing is loaded from anywhere. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src ${hashOf(style)}`,
  `script-src ${hashOf(script)}`,
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

export function renderPage({ title, main, refreshS, said = '', live }: Page): string {
  const refresh =
    refreshS === undefined
      ? undefined
      : html`<noscript><meta http-equiv="refresh" content="${refreshS}"></noscript>`
  const attributes = live === undefined ? undefined : html` data-live data-silent="${live.silent}"`
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">${refresh}
<style>${new Html(style)}</style></head>
<body><header>AtomixOS</header>
<p id="said" role="status">${said}</p>
<main${attributes} data-said="${said}">${main}</main>
<script>${new Html(script)}</script></body></html>
`.text
}
