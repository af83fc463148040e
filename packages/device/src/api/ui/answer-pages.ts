import type { ServerResponse } from 'node:http'
import {
  type ErrorDocument,
  type JobDocument,
  jobIdPattern,
  uploadBytesMax,
} from '@atomixos/config/api/index.ts'
import { isRefusal, type Refusal, refusal } from '../check-request.ts'
import { closing, type Exchange, pass } from '../exchange.ts'
import { isFromOurPage } from '../hosts.ts'
import { pagePolicy } from './page.ts'
import { readForm } from './read-form.ts'
import { renderForm } from './render-form.ts'
import { renderJob } from './render-job.ts'
import { renderNotice } from './render-notice.ts'
import { securityHeaders } from './security-headers.ts'

/** Around the upload: the pasted text, the other fields, what separates them. */
const formBytesMax = uploadBytesMax + 64 * 1024

/** The boot UI: `/`, `/apply`, and a page for each job that came of it. */
export async function answerPages(exchange: Exchange): Promise<void> {
  const { request, response, state } = exchange
  const [path = ''] = (request.url ?? '').split('?')
  const reads = request.method === 'GET' || request.method === 'HEAD'
  const job = new RegExp(`^/apply/(${jobIdPattern.slice(1, -1)})(/config\\.toml)?$`).exec(path)
  if (path === '/apply' && request.method === 'POST') return answerApply(exchange)
  if (!['/', '/apply'].includes(path) && job === null) {
    const paragraphs = state.provisioned ? [whereTheApiIs(exchange)] : ['The setup page is at /.']
    return page(response, 404, renderNotice('There is no such page', ...paragraphs))
  }
  if (!reads) {
    const allow = path === '/apply' ? 'POST' : 'GET, HEAD'
    return page(response, 405, renderNotice('That cannot be done here', `There is ${allow}.`), {
      Allow: allow,
    })
  }
  if (job !== null)
    return job[2] === undefined ? answerJob(exchange, job[1]!) : answerApplied(exchange, job[1]!)
  if (path === '/apply') return page(response, 303, '', { Location: '/' })
  answerStart(exchange)
}

function answerStart(exchange: Exchange): void {
  const { response, state } = exchange
  if (state.provisioned) {
    page(
      response,
      404,
      renderNotice('This device is set up', 'There is no setup page any more.', whereTheApiIs(exchange)),
    )
  } else if (state.dataUnavailable) page(response, 503, noData)
  else showForm(exchange, 200)
}

const noData = renderNotice(
  'This device cannot be set up now',
  'Its data partition cannot be used: see its console.',
)

function whereTheApiIs({ state }: Exchange): string {
  return `Changes are made by signed requests to http://${state.lanAddress}:8080/api, from the LAN; http://${state.lanAddress}:8080/api/openapi.json describes them.`
}

function showForm(
  { request, response, state, tokens }: Exchange,
  status: number,
  refused?: { document: ErrorDocument; text: string | undefined },
): void {
  const { setCookie, token } = tokens.issue(request.headers.cookie)
  const text = renderForm({ version: state.version, token, claimCode: state.claimCode, refused })
  page(response, status, text, setCookie === undefined ? {} : { 'Set-Cookie': setCookie })
}

async function answerApply(exchange: Exchange): Promise<void> {
  const { request, response, state, ask, tokens, readBody } = exchange
  const { headers } = request
  if (state.provisioned) return answerStart(exchange)
  const showRefusal = ({ status, document }: Refusal, text?: string) =>
    showForm(exchange, status, { document, text })
  if (!isFromOurPage(headers)) {
    return showRefusal(
      refusal(403, 'this did not come from the page of this device', 'send it from this page'),
    )
  }
  const mediaType = headers['content-type'] ?? ''
  if (!/^multipart\/form-data;/i.test(mediaType)) {
    return showRefusal(refusal(415, 'this is not the form', 'programs use POST /api/config'))
  }
  const body = await readBody(request, response, formBytesMax)
  if (isRefusal(body)) return showRefusal(body)
  const form = await readForm(mediaType, body)
  if (isRefusal(form)) return showRefusal(form)
  if (!tokens.accepts(headers.cookie, form.token)) {
    return showRefusal(
      refusal(
        403,
        'this form was loaded before the device has started anew, or without cookies',
        'send it again',
      ),
      form.text,
    )
  }
  if (form.upload.length > uploadBytesMax) return showRefusal(refusal(413, 'the file is larger than 32 MiB'))
  const answered = await ask({ ask: 'form', claim: form.claim }, form.upload)
  const document = JSON.parse(answered.body.toString('utf8'))
  if (answered.header.status === 202) {
    return page(response, 303, '', { Location: `/apply/${document.job_id}` })
  }
  showRefusal({ status: answered.header.status, document }, form.text)
}

async function answerJob({ response, ask }: Exchange, id: string): Promise<void> {
  const [answered, text] = await Promise.all([
    ask({ ask: 'api', method: 'GET', target: `/api/jobs/${id}` }),
    ask({ ask: 'applied', id }),
  ])
  const job =
    answered.header.status === 200 ? (JSON.parse(answered.body.toString('utf8')) as JobDocument) : undefined
  if (job?.source !== 'boot-ui') {
    return page(
      response,
      404,
      renderNotice('There is no such job', 'Jobs are forgotten when the device starts anew.'),
    )
  }
  page(response, 200, renderJob(job, { canDownload: text.header.status === 200 }))
}

async function answerApplied({ response, ask }: Exchange, id: string): Promise<void> {
  pass(response, await ask({ ask: 'applied', id }))
}

function page(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = Buffer.from(text)
  response.writeHead(status, {
    ...securityHeaders(pagePolicy),
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': body.length,
    ...headers,
    ...closing(response),
  })
  response.end(body)
}
