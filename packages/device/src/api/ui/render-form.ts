import type { ErrorDocument } from '@atomixos/config/api/index.ts'
import { type ConfigProblem, excerptOf } from '@atomixos/config/operator/index.ts'
import { type Html, html } from './html.ts'
import { renderPage } from './page.ts'

export interface FormPage {
  readonly version: string
  readonly token: string
  readonly claimCode: 'none' | 'needed' | 'unknown'
  /** What has been sent and was not taken. */
  readonly refused?: { readonly document: ErrorDocument; readonly text: string | undefined } | undefined
}

/** Of what was pasted and is shown again. */
const shownCharactersMax = 256 * 1024
const shownProblemsMax = 100

/** The page of a device without a configuration. Pure. */
export function renderForm({ version, token, claimCode, refused }: FormPage): string {
  const pasted = refused?.text !== undefined && refused.text.length <= shownCharactersMax ? refused.text : ''
  return renderPage({
    title: refused === undefined ? 'Set up this AtomixOS device' : 'Not taken: set up this AtomixOS device',
    main: html`<h1>Set up this AtomixOS device</h1>
${refused === undefined ? undefined : renderRefused(refused)}
<p>Version ${version}. It has no configuration yet. Send it a <code>config.toml</code>, or a bundle (<code>.tar.gz</code>, <code>.tar.zst</code>) of a <code>config.toml</code> and <code>files/</code>. It is checked first; nothing changes if anything is wrong.</p>
<form method="post" action="/apply" enctype="multipart/form-data">
<input type="hidden" name="token" value="${token}">
<fieldset><label for="file">A file</label>
<input id="file" name="file" type="file" accept=".toml,.gz,.tgz,.zst,.tzst">
<label for="text">or the text of a config.toml</label>
<textarea id="text" name="text" spellcheck="false" autocapitalize="off" autocomplete="off" wrap="off">
${pasted}</textarea></fieldset>
${claimCode === 'none' ? undefined : claimField}
<button>Check and apply</button>
</form>
<h2>Afterwards</h2>
<p>This page is gone, and so is port 8080 on the WAN. The device answers in its LAN, at 172.20.30.1 unless the configuration says otherwise: administrators by SSH, and by signed requests.</p>`,
  })
}

const claimField = html`<label for="claim">Claim code</label>
<input id="claim" name="claim" required autocomplete="off" autocapitalize="off" spellcheck="false" aria-describedby="claim-hint">
<p id="claim-hint" class="hint">It stands in the file claim-code of the card's boot partition.</p>`

function renderRefused({ document, text }: NonNullable<FormPage['refused']>): Html {
  const { error, hint, problems = [], job_url } = document
  const lines = text?.split('\n')
  const more = problems.length - shownProblemsMax
  return html`<div class="box bad" role="alert" tabindex="-1" id="problems"><h2>Not taken: ${error}</h2>
${hint === undefined ? undefined : html`<p>${hint}</p>`}
${job_url === undefined ? undefined : html`<p>Somebody else is setting this device up at this moment.</p>`}
${problems.length === 0 ? undefined : html`<ol>${problems.slice(0, shownProblemsMax).map((problem) => renderProblem(problem, lines))}</ol>`}
${more > 0 ? html`<p>and ${more} more</p>` : undefined}</div>`
}

/** What is wrong, with the line it is in, when we have the text. */
export function renderProblem(problem: ConfigProblem, lines?: readonly string[]): Html {
  const { path, message, hint, line, column } = problem
  const place = line === undefined ? '' : `line ${line}${column === undefined ? '' : `, column ${column}`}: `
  return html`<li>${place}${path === '' ? undefined : html`<code>${path}</code>: `}${message}${
    line === undefined || column === undefined || lines === undefined
      ? undefined
      : renderExcerpt(lines[line - 1] ?? '', line, column)
  }${hint === undefined ? undefined : html`<p class="hint">${hint}</p>`}</li>`
}

function renderExcerpt(sourceLine: string, line: number, column: number): Html {
  const { text, before } = excerptOf(sourceLine, column)
  const margin = `${line} | `
  return html`<pre>${margin}${text}
${' '.repeat(margin.length + before)}^</pre>`
}
