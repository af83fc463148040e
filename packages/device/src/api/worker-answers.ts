import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type AcceptedDocument,
  type ErrorDocument,
  type EventsDocument,
  type HealthDocument,
  jobIdPattern,
  type NonceDocument,
  type Operation,
  openApiDocument,
  type StatusDocument,
  signedText,
  type ValidationDocument,
} from '@atomixos/config/api/index.ts'
import { parseConfig, type Update, updateConfig } from '@atomixos/config/operator/index.ts'
import type { Job, JobRequest } from '../apply/job.ts'
import { readEvents } from '../events/read-events.ts'
import { type Back, Unavailable } from './back.ts'
import { type CheckedRequest, checkRequest, isRefusal, type Refusal, refusal } from './check-request.ts'
import type { Claims } from './claims.ts'
import { isDataUnavailable, isProvisioned, type Lan, readVersion, type StatePaths } from './device-state.ts'
import { jobDocument, jobUrl } from './job-document.ts'
import type { Nonces } from './nonces.ts'
import type { AnswerHeader, DeviceState, Question } from './questions.ts'
import type { Verified } from './signatures.ts'

/** What the worker's answers are made with. */
export interface WorkerDoors {
  readonly back: Back
  readonly nonces: Nonces
  readonly claims: Claims
  readonly verify: (text: string, signature: string) => Promise<Verified>
  readonly paths: StatePaths
  readonly readLan: () => Promise<Lan>
  readonly eventLogPath: string
  /** In memory: what the boot UI was given. */
  readonly folder: string
  /** A report of the device, packed; its first bytes are there when this resolves. Rejects with Unavailable. */
  readonly openReport: () => Promise<AsyncIterable<Uint8Array>>
}

export interface WorkerAnswer {
  readonly header: AnswerHeader
  readonly body: Buffer
  /** Where the header says `streamed`. */
  readonly rest?: AsyncIterable<Uint8Array>
}

type ApiQuestion = Extract<Question, { ask: 'api' }>

/** A request that may be served, and by whose word. */
interface Granted {
  readonly request: CheckedRequest
  readonly body: Buffer
  /** The administrator who has signed; undefined where nobody had to. */
  readonly admin: string | undefined
}

type Answerer = (granted: Granted, doors: WorkerDoors) => Promise<WorkerAnswer>

/** Signatures that are looked at, at a time: each starts two programs. Others are told to come again. */
const verifyingMax = 4

/** All answers of one worker: it holds what only one of them may do at a time. */
export function createAnswers(
  doors: WorkerDoors,
): (question: Question, body: Buffer) => Promise<WorkerAnswer> {
  let verifying = 0
  let reporting = false
  let last: Promise<unknown> = Promise.resolve()
  /** What reads the configuration and replaces it runs alone. */
  const alone = <T>(work: () => Promise<T>): Promise<T> => {
    const run = last.then(work)
    last = run.catch(() => {})
    return run
  }

  const operations: Readonly<Record<Operation, Answerer>> = {
    health: async () => json(200, await healthOf(doors)),
    document: async () => json(200, openApiDocument(await readVersion(doors.paths))),
    async nonce() {
      const nonce: NonceDocument = { nonce: doors.nonces.issue(), expires_in: 300 }
      return json(200, nonce)
    },
    async status() {
      const job = await doors.back.currentJob()
      const status: StatusDocument = {
        ...(await healthOf(doors)),
        job: job === undefined ? null : jobDocument(job),
      }
      return json(200, status)
    },
    async events() {
      const events: EventsDocument = {
        events: readEvents(doors.eventLogPath).events.map(({ bootId: _, ...event }) => event),
      }
      return json(200, events)
    },
    async report() {
      if (reporting) return refuse({ ...reportUnderWay, retryAfterS: 60 })
      reporting = true
      try {
        const archive = await doors.openReport()
        return {
          header: { status: 200, type: 'application/gzip', streamed: true },
          body: Buffer.alloc(0),
          rest: finishing(archive, () => {
            reporting = false
          }),
        }
      } catch (error) {
        reporting = false
        throw error
      }
    },
    async validate({ body }) {
      const { problems, warnings } = await doors.back.validateUpload(body)
      const validation: ValidationDocument = { valid: problems.length === 0, problems, warnings }
      return json(200, validation)
    },
    async export() {
      const text = await readActive(doors)
      if (text === undefined) return refuse(notConfigured)
      return { header: { status: 200, type: 'application/toml' }, body: text }
    },
    async job({ request }) {
      const job = await findJob(request, doors)
      return job === undefined ? refuse(noSuchJob) : json(200, jobDocument(job))
    },
    async confirm({ request }) {
      const job = await findJob(request, doors)
      if (job === undefined) return refuse(noSuchJob)
      if (!(await doors.back.confirmJob(job.id))) {
        return refuse(refusal(409, 'this job does not wait for a confirmation', 'look at its state'))
      }
      return json(200, jobDocument((await doors.back.readJob(job.id)) ?? job))
    },
    apply: ({ request, body, admin }) =>
      alone(() =>
        submit(
          {
            source: 'api',
            upload: body,
            // There is nothing yet that it could go back to.
            confirmS: admin === undefined ? 0 : secondsOf(request.query['confirm']),
            keepFiles: request.query['keep_files'] === 'true',
            actor: admin,
          },
          { first: admin === undefined },
        ),
      ),
    put: (granted) => {
      const value = parseJson(granted.body)
      if (value === undefined) return Promise.resolve(refuse(notJson))
      const { route, parts } = granted.request
      return changePart({ put: route.table!, name: parts['name']!, value: value.json }, granted)
    },
    remove: (granted) => {
      const { route, parts } = granted.request
      return changePart({ remove: route.table!, name: parts['name']! }, granted)
    },
    patchNetwork: (granted) => {
      const value = parseJson(granted.body)
      if (value === undefined) return Promise.resolve(refuse(notJson))
      return changePart({ patch: 'network', value: value.json }, granted)
    },
  }

  /** One part of the active configuration becomes another, through the very same applying. */
  function changePart(update: Update, { request, admin }: Granted): Promise<WorkerAnswer> {
    return alone(async () => {
      const active = await readActive(doors)
      if (active === undefined) return refuse(notConfigured)
      const { config } = parseConfig(active)
      if (config === undefined) {
        return refuse(
          refusal(
            409,
            'the active configuration is not valid for this version',
            'send a whole one: POST /api/config',
          ),
        )
      }
      const changed = updateConfig(config, update)
      if (changed.toml === undefined) return refuse(invalid(update, changed))
      return submit(
        {
          source: 'api',
          upload: Buffer.from(changed.toml),
          confirmS: secondsOf(request.query['confirm']),
          keepFiles: true,
          actor: admin,
        },
        { first: false },
      )
    })
  }

  /** `first`: only while there is no configuration. */
  async function submit(request: JobRequest, { first }: { readonly first: boolean }): Promise<WorkerAnswer> {
    // In this order: a job that has just made the device a configured one was still running before.
    const running = await doors.back.currentJob()
    if (running !== undefined) return refuse(busyWith(running.id))
    if (first && (await isProvisioned(doors.paths))) return refuse(unsigned)
    const { problems, warnings } = await doors.back.validateUpload(request.upload)
    if (problems.length > 0) {
      const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
      return refuse({
        status: 422,
        document: {
          error: `the configuration has ${count}`,
          hint: 'nothing has changed: correct it, then send it again',
          problems,
          warnings,
        },
      })
    }
    const submitted = await doors.back.submitJob(request)
    if ('busy' in submitted) return refuse(busyWith(submitted.busy))
    if (request.source === 'boot-ui') await keepText(submitted.id, request.upload, doors)
    const accepted: AcceptedDocument = {
      job_id: submitted.id,
      state: 'queued',
      job_url: jobUrl(submitted.id),
    }
    return json(202, accepted, { location: jobUrl(submitted.id) })
  }

  async function api(question: ApiQuestion, body: Buffer): Promise<WorkerAnswer> {
    const { method, target, mediaType } = question
    const request = checkRequest({ method, target, mediaType, bodyBytes: body.length })
    if (isRefusal(request)) return refuse(request)
    const { access, operation } = request.route
    if (access === 'open') return operations[operation]({ request, body, admin: undefined }, doors)
    if (await isDataUnavailable(doors.paths)) return refuse(noData)
    const granted = await grant(question, request, body)
    return isRefusal(granted) ? refuse(granted) : operations[operation](granted, doors)
  }

  /** By whose word a request is served, or why it is not. */
  async function grant(
    { target, nonce, signature, claim }: ApiQuestion,
    request: CheckedRequest,
    body: Buffer,
  ): Promise<Granted | Refusal> {
    if (!(await isProvisioned(doors.paths))) {
      if (request.route.access !== 'first') {
        return refusal(
          403,
          'the device has no configuration yet, and so nobody whose signature would count',
          'send it one: POST /api/config',
        )
      }
      return claimProblem(claim, doors) ?? { request, body, admin: undefined }
    }
    if (nonce === undefined || signature === undefined) return unsigned
    const early = nonceProblem(doors.nonces.check(nonce))
    if (early !== undefined) return early
    if (verifying >= verifyingMax) return { ...refusal(429, 'too many signatures at a time'), retryAfterS: 1 }
    verifying += 1
    let verified: Verified
    try {
      const bodySha256 = createHash('sha256').update(body).digest('hex')
      verified = await doors.verify(signedText({ nonce, path: target, bodySha256 }), signature)
    } finally {
      verifying -= 1
    }
    if ('problem' in verified) return refusal(401, verified.problem, howToSign)
    // Only now: a nonce that somebody else has seen cannot be used up by him.
    return nonceProblem(doors.nonces.use(nonce)) ?? { request, body, admin: verified.admin }
  }

  async function form(claim: string | undefined, body: Buffer): Promise<WorkerAnswer> {
    if (await isDataUnavailable(doors.paths)) return refuse(noData)
    if (await isProvisioned(doors.paths)) return refuse(uiIsGone)
    const problem = claimProblem(claim, doors)
    if (problem !== undefined) return refuse(problem)
    return alone(() => submit({ source: 'boot-ui', upload: body, confirmS: 0 }, { first: true }))
  }

  return async (question, body) => {
    try {
      switch (question.ask) {
        case 'state':
          return json(200, await stateOf(doors))
        case 'api':
          return await api(question, body)
        case 'form':
          return await form(question.claim, body)
        case 'applied':
          return await applied(question.id, doors)
      }
    } catch (error) {
      if (error instanceof Unavailable) return refuse(refusal(503, error.message, 'try again later'))
      throw error
    }
  }
}

const howToSign = 'docs/api.md has the commands; `./atomixos device` does it for you'
const unsigned = refusal(401, 'this needs the signature of an administrator', howToSign)
const notConfigured = refusal(404, 'the device has no configuration', 'send it one: POST /api/config')
const noSuchJob = refusal(404, 'there is no such job', 'jobs are forgotten when the device starts anew')
const reportUnderWay = refusal(429, 'another report is being made', 'wait for its end: two minutes at most')
const notJson = refusal(400, 'the body is not JSON')
const noData = refusal(
  503,
  '/data is not there: nothing can be read or changed',
  'see the console of the device',
)
const uiIsGone = refusal(404, 'the device has a configuration: there is no boot UI any more')

function busyWith(id: string): Refusal {
  return {
    status: 409,
    document: {
      error: 'another configuration is being applied',
      hint: 'wait for the end of that job, then send it again',
      job_url: jobUrl(id),
    },
  }
}

function nonceProblem(verdict: ReturnType<Nonces['check']>): Refusal | undefined {
  switch (verdict) {
    case 'good':
      return undefined
    case 'full':
      return { ...refusal(429, 'too many requests were signed in the last minutes'), retryAfterS: 60 }
    case 'unknown':
      return refusal(401, 'the nonce is none of this device, or of an earlier start', 'GET /api/nonce')
    case 'expired':
      return refusal(401, 'the nonce is too old', 'GET /api/nonce gives another one')
    case 'used':
      return refusal(401, 'the nonce has been used', 'GET /api/nonce gives another one')
  }
}

function claimProblem(claim: string | undefined, { claims }: WorkerDoors): Refusal | undefined {
  switch (claims.check(claim)) {
    case 'right':
      return undefined
    case 'wrong':
      return refusal(
        403,
        claim === undefined || claim === '' ? 'the claim code is needed' : 'the claim code is not right',
        'it was shown when the card was flashed, and stands in the file claim-code of its boot partition',
      )
    case 'later':
      return {
        ...refusal(429, 'too many wrong claim codes', 'there is one more attempt every 30 seconds'),
        retryAfterS: 30,
      }
    case 'unknown':
      return refusal(
        503,
        'it is not known whether this device has a claim code: its boot partition cannot be read',
        'start it anew, or write the card again',
      )
  }
}

function invalid(update: Update, changed: ReturnType<typeof updateConfig>): Refusal {
  const { problems, warnings } = changed
  const missing = 'remove' in update && problems.length === 1 && problems[0]!.message === 'it is not there'
  if (missing) return refusal(404, `there is no ${problems[0]!.path}`)
  return {
    status: 422,
    document: {
      error: 'the configuration would not be valid with this',
      hint: 'nothing has changed',
      problems,
      warnings,
    },
  }
}

/** All of it, and a last word however it ends. */
async function* finishing<T>(source: AsyncIterable<T>, end: () => void): AsyncGenerator<T> {
  try {
    yield* source
  } finally {
    end()
  }
}

function secondsOf(confirm: string | undefined): number | undefined {
  return confirm === undefined ? undefined : Number(confirm)
}

function parseJson(body: Buffer): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) }
  } catch {
    return undefined
  }
}

function readActive({ paths }: WorkerDoors): Promise<Buffer | undefined> {
  return readFile(join(paths.configFolder, 'config.toml')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

function findJob(request: CheckedRequest, { back }: WorkerDoors): Promise<Job | undefined> {
  const id = request.parts['job_id']!
  return new RegExp(jobIdPattern).test(id) ? back.readJob(id) : Promise.resolve(undefined)
}

async function healthOf(doors: WorkerDoors): Promise<HealthDocument> {
  const { version, provisioned, claimCode, busy } = await stateOf(doors)
  return { status: 'ok', version, provisioned, claim_code_needed: !provisioned && claimCode !== 'none', busy }
}

async function stateOf({ paths, claims, back, readLan }: WorkerDoors): Promise<DeviceState> {
  const [version, provisioned, dataUnavailable, lan, job] = await Promise.all([
    readVersion(paths),
    isProvisioned(paths),
    isDataUnavailable(paths),
    readLan(),
    back.currentJob(),
  ])
  return {
    ...{ version, provisioned, dataUnavailable, claimCode: claims.needed() },
    ...{ lanAddress: lan.address, names: lan.names, busy: job !== undefined },
  }
}

/** The text that somebody has pasted into the form, for him to keep; a bundle he has as a file. */
async function keepText(id: string, upload: Uint8Array, { folder }: WorkerDoors): Promise<void> {
  if (parseConfig(upload).config === undefined) return
  await writeFile(appliedPath(folder, id), upload, { mode: 0o600 })
}

async function applied(id: string, { folder, back }: WorkerDoors): Promise<WorkerAnswer> {
  const text = await readFile(appliedPath(folder, id)).catch(() => undefined)
  if (text === undefined || (await back.readJob(id)) === undefined) return refuse(noSuchJob)
  return { header: { status: 200, type: 'application/toml' }, body: text }
}

function appliedPath(folder: string, id: string): string {
  return join(folder, `applied-${id}.toml`)
}

function json(status: number, document: object, more: Partial<AnswerHeader> = {}): WorkerAnswer {
  return {
    header: { status, type: 'application/json', ...more },
    body: Buffer.from(`${JSON.stringify(document)}\n`),
  }
}

export function refuse({ status, document, allow, retryAfterS }: Refusal): WorkerAnswer {
  return json(status, document satisfies ErrorDocument, { allow, retryAfterS })
}
