import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { JobDocument } from '@atomixos/config/api/index.ts'
import { parseConfig } from '@atomixos/config/operator/index.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startTestDevice, type TestDevice, type TestDeviceOptions } from '../test-device.ts'
import { ask, type TestAnswer } from '../test-requests.ts'
import { exampleKey, exampleToml, renderForm } from './render-form.ts'
import { renderJob } from './render-job.ts'

/** The boot UI as a browser without JavaScript meets it. */

let folder: string
let device: TestDevice
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ui-'))
})
afterEach(async () => {
  await device[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

async function start(options: Partial<TestDeviceOptions> = {}): Promise<TestDevice> {
  device = await startTestDevice({ folder, ...options })
  return device
}

interface Sent {
  readonly text?: string
  readonly file?: string | Uint8Array
  readonly claim?: string
  readonly shown?: string
  readonly token?: string
  readonly headers?: Readonly<Record<string, string | undefined>>
}

/** Loads the form, fills it in, sends it: with the fields that browsers send for what was left empty. */
async function send({ text = '', file = '', claim, shown, token, headers = {} }: Sent): Promise<TestAnswer> {
  const { port } = device
  const page = await ask(port, '/')
  const form = new FormData()
  form.set('token', token ?? /name="token" value="([^"]*)"/.exec(page.text)![1]!)
  form.set('file', new File([file as string], file === '' ? '' : 'config.toml'))
  form.set('text', text.replaceAll('\n', '\r\n'))
  if (shown !== undefined) form.set('shown', shown)
  if (claim !== undefined) form.set('claim', claim)
  const encoded = new Response(form)
  const all: Record<string, string | undefined> = {
    'Content-Type': encoded.headers.get('content-type')!,
    Cookie: page.headers['set-cookie']![0]!.split(';')[0]!,
    Origin: `http://127.0.0.1:${port}`,
    ...headers,
  }
  return ask(port, '/apply', {
    method: 'POST',
    headers: Object.fromEntries(
      Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    body: await encoded.bytes(),
  })
}

async function follow({ headers }: TestAnswer, words: string): Promise<string> {
  for (;;) {
    const { text } = await ask(device.port, headers.location!)
    if (text.includes(words)) return text
    await pause(10)
  }
}

describe('the form', () => {
  test('a pasted text is applied, and can be had back', async () => {
    const { port, back } = await start()
    const sent = await send({ text: leastToml })
    expect(sent.status).toBe(303)
    expect(sent.headers.location).toMatch(/^\/apply\/[0-9a-f]{16}$/)
    const page = await follow(sent, '<h1 class="ok">The configuration is active</h1>')
    expect(page).toContain('<a href="http://127.0.0.1:8080/api/health">http://127.0.0.1:8080</a>')
    expect(page).not.toContain('http-equiv="refresh"')
    expect(back.requests).toMatchObject([{ source: 'boot-ui', confirmS: 0 }])
    const had = await ask(port, `${sent.headers.location}/config.toml`)
    expect([had.text, had.headers['content-disposition']]).toEqual([
      leastToml,
      'attachment; filename="config.toml"',
    ])
  })

  test('a file is applied', async () => {
    const { back } = await start()
    expect((await send({ file: leastToml })).status).toBe(303)
    expect(Buffer.from(back.requests[0]!.upload).toString()).toBe(leastToml)
  })

  test('while it goes on the page loads itself anew, with JavaScript or without', async () => {
    const { back } = await start()
    back.course = 'hold'
    const sent = await send({ text: leastToml })
    const page = await follow(sent, 'Start containers')
    expect(page).toContain('<noscript><meta http-equiv="refresh" content="2"></noscript>')
    expect(page).toContain('<main data-live ')
    back.course = 'fail'
    const failed = await follow(sent, 'The configuration was not applied')
    expect(failed).toContain('the container web did not start: no such image; see journalctl -u web')
    expect(failed).toContain('What had been changed was taken back')
  })

  test('problems are shown at their lines, and the text is still there', async () => {
    const { back } = await start()
    const { status, text } = await send({ text: leastToml.replace('required', 'requierd') })
    expect(status).toBe(422)
    expect(text).toContain(
      '<li><a href="#text" data-line="6">line 6, column 1</a>: <code>activation.requierd</code>: there is no such key<pre>6 | requierd = [&quot;web&quot;]\n    ^</pre>',
    )
    expect(text).toContain('did you mean &quot;required&quot;?')
    expect(text).toContain('requierd = [&quot;web&quot;]\n[containers.container.web]')
    expect(back.requests).toEqual([])
  })

  test('a mended file takes the place of the one whose text is still in the form', async () => {
    const { back } = await start()
    const file = leastToml.replace('required', 'requierd').replaceAll('\n', '\r\n')
    const { text } = await send({ file })
    const shown = /name="shown" value="([0-9a-f]+)"/.exec(text)![1]!
    const old = file.replaceAll('\r\n', '\n')
    // What somebody has changed in the form is his: he has to say which of the two he means.
    expect((await send({ file: leastToml, text: `${old}# mended`, shown })).status).toBe(400)
    expect((await send({ text: old, shown })).status).toBe(422)
    expect(back.requests).toEqual([])
    expect((await send({ file: leastToml, text: old, shown })).status).toBe(303)
    expect(String(back.requests[0]!.upload)).toBe(leastToml)
  })

  test('nothing of a file becomes part of the page', async () => {
    await start()
    const { text } = await send({ text: `version = 1\n["</textarea><script>alert(1)</script>"]\n` })
    expect(text).not.toContain('<script>alert')
    expect(text).toContain('&lt;script&gt;alert')
  })

  test.each<[string, Sent, number, string]>([
    ['nothing in it', {}, 400, 'there is nothing in the form'],
    ['both', { text: leastToml, file: leastToml }, 400, 'there are a file and a text'],
    ['another token', { text: leastToml, token: '0'.repeat(64) }, 403, 'this form was loaded before'],
    ['no token', { text: leastToml, token: '' }, 403, 'this form was loaded before'],
    ['no cookie', { text: leastToml, headers: { Cookie: undefined } }, 403, 'this form was loaded before'],
    [
      'a page of another origin',
      { text: leastToml, headers: { Origin: 'http://attacker.example' } },
      403,
      'did not come from the page',
    ],
    [
      'no origin that anybody knows',
      { text: leastToml, headers: { Origin: 'null' } },
      403,
      'did not come from the page',
    ],
    [
      'no word of an origin',
      { text: leastToml, headers: { Origin: undefined } },
      403,
      'did not come from the page',
    ],
    [
      'another site, as the browser says',
      { text: leastToml, headers: { Origin: undefined, 'Sec-Fetch-Site': 'same-site' } },
      403,
      'did not come from the page',
    ],
    [
      'another kind',
      { text: leastToml, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } },
      415,
      'this is not the form',
    ],
    [
      'a form that is none',
      { text: leastToml, headers: { 'Content-Type': 'multipart/form-data; boundary=x' } },
      400,
      'the form is not understood',
    ],
    ['a file that is no text', { file: new Uint8Array([0xff, 0xfe, 0, 1]) }, 422, 'it is not UTF-8'],
  ])('%s: nothing is applied', async (_, sent, status, words) => {
    const { back } = await start()
    const answer = await send(sent)
    expect([answer.status, back.requests]).toEqual([status, []])
    expect(answer.text).toContain(words)
  })

  test('an old browser, which tells where it comes from in another way', async () => {
    await start()
    const Referer = `http://127.0.0.1:${device.port}/`
    expect((await send({ text: leastToml, headers: { Origin: undefined, Referer } })).status).toBe(303)
  })

  test('the claim code is asked for, and needed', async () => {
    const { port, back } = await start({ claimCode: 'mango-42-river' })
    expect((await ask(port, '/')).text).toContain('<input id="claim" name="claim" required')
    const refused = await send({ text: leastToml, claim: 'mango' })
    expect(refused.status).toBe(403)
    expect(refused.text).toContain('the claim code is not right')
    expect(back.requests).toEqual([])
    expect((await send({ text: leastToml, claim: ' mango-42-river ' })).status).toBe(303)
  })

  test('a job of somebody else has no page', async () => {
    const { port } = await start()
    const { json } = await ask(port, '/api/config', { method: 'POST', body: leastToml })
    expect((await ask(port, `/apply/${json['job_id']}`)).status).toBe(404)
    expect((await ask(port, `/apply/${json['job_id']}/config.toml`)).status).toBe(404)
  })
})

describe('pages', () => {
  const form = () => renderForm({ version: '1.2.3', token: 'x', claimCode: 'needed' })

  test('are small', () => {
    expect(Buffer.byteLength(form())).toBeLessThan(30 * 1024)
  })

  test('run and style nothing but what their policy names', async () => {
    const { port } = await start()
    const { text, headers } = await ask(port, '/')
    const policy = headers['content-security-policy']
    for (const [, kind, source] of text.matchAll(/<(script|style)>([\s\S]*?)<\/\1>/g)) {
      const hash = createHash('sha256').update(source!).digest('base64')
      expect(policy).toContain(`${kind}-src 'sha256-${hash}'`)
    }
    expect(text).not.toMatch(/ on[a-z]+=| style=|javascript:|<link|src=/)
  })

  test('every field has its label, every page its language and title', async () => {
    await start()
    const page = form()
    for (const [, id] of page.matchAll(/<(?:input|textarea) id="(\w+)"/g))
      expect(page).toContain(`<label for="${id}">`)
    expect(page).toMatch(/^<!doctype html>\n<html lang="en">.*<title>Set up/)
  })

  test('the example in them is a configuration that a device takes', async () => {
    await start()
    expect(form()).toContain('<summary>What is a config.toml?</summary>')
    const key = /ssh_key = "([^"]+)"/.exec(leastToml)![1]!
    expect(parseConfig(Buffer.from(exampleToml.replace(exampleKey, key)))).toMatchObject({
      problems: [],
      warnings: [],
    })
  })

  test('a failure says whether it was taken back', async () => {
    await start()
    const job: JobDocument = {
      ...{
        job_id: '0'.repeat(16),
        source: 'boot-ui',
        state: 'failed',
        steps: [],
        services: [],
        problems: [],
      },
      ...{ warnings: [], error: 'eth1 is not there', rollback: null, addresses: [] },
    }
    const page = (more: Partial<JobDocument>) => renderJob({ ...job, ...more }, { canDownload: false })
    expect(page({ steps: [{ name: 'finish', state: 'waiting' }] })).toContain('not done')
    expect(page({})).toContain('Nothing on the device had been changed.')
    expect(page({ rollback: 'completed' })).toContain('the device is as it was before')
    expect(page({ rollback: 'failed' })).toContain('Start the device anew')
  })
})
