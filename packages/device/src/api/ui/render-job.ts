import type { JobDocument, StepDocument } from '@atomixos/config/api/index.ts'
import { type Html, html } from './html.ts'
import { renderPage } from './page.ts'
import { renderProblem } from './render-form.ts'

const stepTitles: Readonly<Record<string, string>> = {
  unpack: 'Unpack',
  validate: 'Check',
  render: 'Prepare',
  promote: 'Put in place',
  activate: 'Activate: users, networks, firewall',
  containers: 'Start containers',
  confirm: 'Wait for the confirmation',
  finish: 'Finish',
  rollback: 'Go back',
}

const headings: Readonly<Record<JobDocument['state'], string>> = {
  queued: 'The configuration is about to be applied',
  running: 'The configuration is being applied',
  'waiting-for-confirmation': 'The configuration is active, and waits to be confirmed',
  succeeded: 'The configuration is active',
  failed: 'The configuration was not applied',
}

/** How far the applying is. Pure. */
export function renderJob(job: JobDocument, { canDownload }: { readonly canDownload: boolean }): string {
  const { state, steps, services } = job
  const ended = state === 'succeeded' || state === 'failed'
  const heading = headings[state]
  return renderPage({
    title: `${heading} - AtomixOS`,
    said: ended ? heading : saidOf(job),
    refreshS: ended ? undefined : 2,
    live: ended ? undefined : { silent: silentText(job) },
    main: html`<h1 class="${state === 'failed' ? 'bad' : state === 'succeeded' ? 'ok' : ''}">${heading}</h1>
${ended ? undefined : html`<p>${silentText(job)}</p>`}
${state === 'failed' ? renderFailure(job) : undefined}
${state === 'succeeded' ? renderSuccess(job) : undefined}
<h2>Steps</h2><ol class="steps">${steps.map((step) => renderStep(stepTitles[step.name] ?? step.name, step, ended))}</ol>
${services.length === 0 ? undefined : html`<h2>Containers</h2><ol class="steps">${services.map((service) => renderStep(`${service.name}${service.required ? ' (required)' : ''}`, service, ended))}</ol>`}
${job.warnings.length === 0 ? undefined : html`<h2>Remarks</h2><ul>${job.warnings.map((warning) => renderProblem(warning))}</ul>`}
${canDownload ? html`<p><a class="act" id="download" href="/apply/${job.job_id}/config.toml" download="config.toml">Download the config.toml that was sent</a></p>` : undefined}`,
  })
}

function renderStep(
  title: string,
  { state, message }: Pick<StepDocument, 'message'> & { state: string },
  ended: boolean,
): Html {
  // Of a job that is over nothing waits any more.
  const word = ended && state === 'waiting' ? 'not done' : state
  const tone = state === 'failed' ? 'bad' : state === 'done' || state === 'active' ? 'ok' : ''
  return html`<li class="${state}"><span class="state ${tone}">${word}</span><span>${title}</span>${
    message === undefined ? undefined : html`<p class="hint">${message}</p>`
  }</li>`
}

function renderFailure({ error, problems, rollback }: JobDocument): Html {
  return html`<div class="box bad" role="alert"><p>${error ?? 'It has failed.'}</p>
<p>${rolledBack[rollback ?? 'nothing']}</p>
${problems.length === 0 ? undefined : html`<ol>${problems.map((problem) => renderProblem(problem))}</ol>`}</div>
<p><a class="act" href="/">Try again</a></p>`
}

const rolledBack = {
  nothing: 'Nothing on the device had been changed.',
  completed: 'What had been changed was taken back: the device is as it was before.',
  failed:
    'It could not be taken back in full. Start the device anew: it finishes that at its start. Its console says more.',
} as const

function renderSuccess({ addresses }: JobDocument): Html {
  return html`<p>This device is now reached at:</p><ul class="links">${addresses.map((address) => html`<li><a href="${address}/api/health">${address}</a></li>`)}</ul>
<p>Administrators log in by SSH, with the key of the configuration${addresses.length === 0 ? undefined : html`: <code>ssh NAME@${new URL(addresses[0]!).hostname}</code>`}. The setup page is gone.</p>`
}

function saidOf({ steps, services }: JobDocument): string {
  const step = steps.find(({ state }) => state === 'running')
  if (step === undefined) return ''
  const active = services.filter(({ state }) => state === 'active').length
  const count = step.name === 'containers' ? `, ${active} of ${services.length} active` : ''
  return `${stepTitles[step.name] ?? step.name}${count}`
}

/** For when the address of the device changes, or its firewall closes, on the way. */
function silentText({ addresses }: JobDocument): string {
  const at = addresses.length === 0 ? 'at its address' : `at ${addresses.join(' or ')}`
  return `When the configuration takes effect, the WAN closes and addresses may change: look for the device in its LAN, ${at}.`
}
