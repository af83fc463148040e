import type { ErrorDocument } from '@atomixos/config/api/index.ts'
import { type ConfigProblem, excerptOf } from '@atomixos/config/operator/index.ts'
import { type Html, html } from './html.ts'
import { renderPage } from './page.ts'
import { shownMark } from './read-form.ts'

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

/** For who has no file yet. */
export const exampleKey = 'ssh-ed25519 AAAA… you@laptop'
export const exampleToml = `version = 1

[users.alice]
isAdmin = true
ssh_key = "${exampleKey}"

[activation]
required = ["web"]

[containers.container.web]
privileged = true
Container.Image = "docker.io/library/caddy:2"
`

/** The page of a device without a configuration. Pure. */
export function renderForm({ version, token, claimCode, refused }: FormPage): string {
  const pasted = refused?.text !== undefined && refused.text.length <= shownCharactersMax ? refused.text : ''
  const rows = Math.min(24, Math.max(10, pasted.split('\n').length + 1))
  const marks = pasted === '' ? undefined : html` aria-invalid="true" aria-errormessage="problems"`
  return renderPage({
    title: refused === undefined ? 'Set up this AtomixOS device' : 'Not taken: set up this AtomixOS device',
    main: html`<h1>Set up this AtomixOS device</h1>
${refused === undefined ? undefined : renderRefused(refused, pasted !== '')}
<p>It runs version ${version} and has no configuration yet. Send it a <code>config.toml</code>, or a bundle (<code>.tar.gz</code>, <code>.tar.zst</code>) of a <code>config.toml</code> and <code>files/</code>. It is checked first; nothing changes if anything is wrong.</p>
<details><summary>What is a config.toml?</summary>
<p>A text that says who administers the device and which containers run on it. This is a small one; put in the content of your public SSH key, such as <code>~/.ssh/id_ed25519.pub</code>:</p>
<pre>${exampleToml}</pre></details>
<form method="post" action="/apply" enctype="multipart/form-data">
<input type="hidden" name="token" value="${token}">
${pasted === '' ? undefined : html`<input type="hidden" name="shown" value="${shownMark(pasted)}">`}
<label for="file">A file: config.toml or a bundle</label>
<input id="file" name="file" type="file" accept=".toml,.gz,.tgz,.zst,.tzst">
<label for="text">Or the text of a config.toml</label>
<textarea id="text" name="text" rows="${rows}" spellcheck="false" autocapitalize="off" autocomplete="off" wrap="off"${marks}>
${pasted}</textarea>
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

function renderRefused({ document, text }: NonNullable<FormPage['refused']>, linesShown: boolean): Html {
  const { error, hint, problems = [], job_url } = document
  const lines = text?.split('\n')
  const more = problems.length - shownProblemsMax
  return html`<div class="box bad" role="alert" tabindex="-1" autofocus id="problems"><h2>Not taken: ${error}</h2>
${hint === undefined ? undefined : html`<p>${hint}</p>`}
${job_url === undefined ? undefined : html`<p>Somebody else is setting this device up at this moment.</p>`}
${problems.length === 0 ? undefined : html`<ol>${problems.slice(0, shownProblemsMax).map((problem) => renderProblem(problem, { lines, linked: linesShown }))}</ol>`}
${more > 0 ? html`<p>and ${more} more</p>` : undefined}</div>`
}

/** What is wrong, with the line it is in, when we have the text; `linked`: the text is in the form, to be mended. */
export function renderProblem(
  problem: ConfigProblem,
  {
    lines,
    linked = false,
  }: { readonly lines?: readonly string[] | undefined; readonly linked?: boolean } = {},
): Html {
  const { path, message, hint, line, column } = problem
  return html`<li>${line === undefined ? undefined : renderPlace(line, column, linked)}${path === '' ? undefined : html`<code>${path}</code>: `}${message}${
    line === undefined || column === undefined || lines === undefined
      ? undefined
      : renderExcerpt(lines[line - 1] ?? '', line, column)
  }${hint === undefined ? undefined : html`<p class="hint">${hint}</p>`}</li>`
}

function renderPlace(line: number, column: number | undefined, linked: boolean): Html {
  const place = `line ${line}${column === undefined ? '' : `, column ${column}`}`
  return linked ? html`<a href="#text" data-line="${line}">${place}</a>: ` : html`${place}: `
}

function renderExcerpt(sourceLine: string, line: number, column: number): Html {
  const { text, before } = excerptOf(sourceLine, column)
  const margin = `${line} | `
  return html`<pre>${margin}${text}
${' '.repeat(margin.length + before)}^</pre>`
}
