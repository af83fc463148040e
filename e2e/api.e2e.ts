/** A device is set up with the boot UI over the WAN, and changed with signed requests from the LAN. */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'
import { operatorConfigPath } from '@atomixos/config'
import { signatureNamespace, signedText } from '@atomixos/config/api/index.ts'
import type { LabHost, Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshState } from './fresh.ts'
import { bootMs } from './gateway.ts'
import { oneContainerToml } from './one-container.ts'
import { lanAddress, lanMachine, wanAddressOf } from './operator-network.ts'
import { forkGateway, type ProvisionedGateway } from './provisioned.ts'
import { storyDir, thoroughly } from './setup.ts'

interface Answer {
  readonly status: number
  readonly text: string
}

/** A file in a tar as GNU tar writes it, whose name is short. */
function tarMember(tar: Buffer, name: string): string {
  const at = tar.indexOf(`${name}\0`)
  if (at === -1) throw new Error(`${name} is not in the archive`)
  const sizeBytes = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
  return tar.toString('utf8', at + 512, at + 512 + sizeBytes)
}

describe('api', () => {
  let device: ProvisionedGateway
  let gateway: Machine
  let provider: LabHost
  let machine: LabHost
  let wan: string
  let config: string

  beforeAll(async () => {
    device = await forkGateway(await freshState(), join(await storyDir('api'), 'device'))
    gateway = device.gateway
    provider = device.network.provider
    machine = await lanMachine(device.network)
    wan = await wanAddressOf(gateway)
    // ssh-keygen asks who it is.
    await writeFile(join(machine.dir, 'etc/passwd'), 'root:x:0:0:root:/tmp:/bin/sh\n')
    await machine.succeed(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'alice', '-f', '/tmp/alice'])
    config = oneContainerToml({
      key: (await readFile(join(machine.dir, 'tmp/alice.pub'), 'utf8')).trim(),
      timeoutSeconds: 120,
      // As slow as a machine may be: what fails has failed by then.
      settleSeconds: 10,
    })
  }, 4 * bootMs)
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  async function ask(host: LabHost, url: string, ...more: readonly string[]): Promise<Answer> {
    const said = await host.succeed(
      ['curl', '-sS', '--max-time', '100', '-w', '\\n%{http_code}', ...more, url],
      { timeoutMs: 120_000 },
    )
    const end = said.lastIndexOf('\n')
    return { status: Number(said.slice(end + 1)), text: said.slice(0, end) }
  }

  const fromLan = (path: string, ...more: readonly string[]) =>
    ask(machine, `http://${lanAddress}:8080${path}`, ...more)
  const health = async () => JSON.parse((await fromLan('/api/health')).text)
  const silent = () =>
    provider.fail([
      'curl',
      '-sS',
      '--connect-timeout',
      '3',
      '--max-time',
      '5',
      `http://${wan}:8080/api/health`,
    ])

  async function signed(method: string, path: string, body = ''): Promise<Answer> {
    const { nonce } = JSON.parse((await fromLan('/api/nonce')).text)
    const bodySha256 = createHash('sha256').update(body).digest('hex')
    const signature = await machine.succeed(
      ['ssh-keygen', '-Y', 'sign', '-n', signatureNamespace, '-f', '/tmp/alice'],
      { stdin: signedText({ nonce, path, bodySha256 }) },
    )
    await writeFile(join(machine.dir, 'tmp/body'), body)
    return fromLan(
      path,
      ...['-X', method, '-H', `X-AtomixOS-Nonce: ${nonce}`],
      ...['-H', `X-AtomixOS-Signature: ${Buffer.from(signature).toString('base64')}`],
      ...(body === '' ? [] : ['-H', 'Content-Type:', '--data-binary', '@/tmp/body']),
    )
  }

  /** The job when it is over, or waits for somebody. Steps and containers have states of their own. */
  async function ended(jobUrl: string): Promise<Record<string, unknown>> {
    const over = ['succeeded', 'failed', 'waiting-for-confirmation']
    for (const until = Date.now() + 400_000; Date.now() < until; await sleep(1000)) {
      // Networks and firewall may just be changing.
      const { text } = await fromLan(jobUrl).catch(() => ({ text: '{}' }))
      const job = JSON.parse(text) as Record<string, unknown>
      if (over.includes(String(job['state']))) return job
    }
    throw new Error(`${jobUrl} was not over within 400 s`)
  }

  test('before its first configuration it answers on both sides, and to its own names only', async () => {
    expect(await health()).toMatchObject({ provisioned: false, claim_code_needed: false, busy: false })
    const page = await ask(provider, `http://${wan}:8080/`)
    expect(page).toMatchObject({ status: 200, text: expect.stringContaining('Set up this AtomixOS device') })
    expect((await ask(provider, `http://${wan}:8080/`, '-H', 'Host: attacker.example')).status).toBe(421)
    expect((await fromLan('/api/health', '-H', 'Host: atomixos.local:8080')).status).toBe(200)
    const wrong = await fromLan('/api/config', '-H', 'Content-Type: application/toml', '-d', 'version = 1')
    expect(wrong).toMatchObject({ status: 422, text: expect.stringContaining('"problems"') })
  })

  test('half a minute later nothing of it runs, and it comes again when it is asked', async () => {
    for (const unit of ['api-front', 'config-worker']) {
      await gateway.waitUntilSucceeds(`test "$(systemctl show -P ActiveState ${unit})" = inactive`, {
        timeoutMs: 200_000,
      })
    }
    const seconds = await machine.succeed([
      ...['curl', '-sS', '-o', '/dev/null', '--max-time', '100', '-w', '%{time_total}'],
      `http://${lanAddress}:8080/api/health`,
    ])
    process.stdout.write(`first answer of the API, from nothing: ${seconds} s, emulated\n`)
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('both halves are sandboxed; the one that faces the network most', async () => {
    const score = async (unit: string) =>
      Number(
        await gateway.succeed(
          `systemd-analyze security --no-pager ${unit} 2>&1 | sed -n 's/.*exposure level for .*: \\([0-9.]*\\).*/\\1/p'`,
          { timeoutMs: 60_000 },
        ),
      )
    const scores = { front: await score('api-front.service'), worker: await score('config-worker.service') }
    process.stdout.write(`sandboxes: ${JSON.stringify(scores)}\n`)
    expect(scores.front).toBeLessThanOrEqual(2)
    expect(scores.worker).toBeLessThanOrEqual(5)
  })

  /** As a browser on the WAN; the path of the job's page. */
  async function sendForm(text: string, origin = `http://${wan}:8080`): Promise<string> {
    const jar = ['-b', '/tmp/jar', '-c', '/tmp/jar']
    const page = await ask(provider, `http://${wan}:8080/`, ...jar)
    const token = /name="token" value="([0-9a-f]+)"/.exec(page.text)![1]!
    await writeFile(join(provider.dir, 'tmp/config.toml'), text)
    const form = ['-F', `token=${token}`, '-F', 'file=@/tmp/config.toml', '-H', `Origin: ${origin}`]
    const sent = await ask(provider, `http://${wan}:8080/apply`, ...jar, ...form, '-D', '/tmp/headers')
    const headers = await readFile(join(provider.dir, 'tmp/headers'), 'utf8')
    return sent.status === 303 ? /^location: (\S+)/im.exec(headers)![1]! : String(sent.status)
  }

  test('a first configuration that fails over the WAN is taken back, and the WAN can try again', async () => {
    expect(await sendForm(config, 'http://attacker.example')).toBe('403')
    const page = await sendForm(config.replace('/usr/bin/sleep infinity', '/usr/bin/false'))
    expect(await ended(page.replace('/apply/', '/api/jobs/'))).toMatchObject({ state: 'failed' })
    await provider.waitUntilSucceeds(
      ['sh', '-c', `curl -sS --max-time 60 http://${wan}:8080${page} | grep -q 'was not applied'`],
      { timeoutMs: 100_000 },
    )
    expect(await health()).toMatchObject({ provisioned: false, busy: false })
  })

  test('the boot UI takes a configuration over the WAN; then the WAN is closed', async () => {
    const id = (await sendForm(config)).slice('/apply/'.length)
    expect(await ended(`/api/jobs/${id}`)).toMatchObject({ state: 'succeeded', source: 'boot-ui' })
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(config)
    await silent()
    expect(await fromLan('/')).toMatchObject({
      status: 404,
      text: expect.stringContaining('/api/openapi.json'),
    })
    expect(await fromLan(`/apply/${id}`)).toMatchObject({
      status: 200,
      text: expect.stringContaining('is active'),
    })
    expect((await fromLan(`/apply/${id}/config.toml`)).text).toBe(config)
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
  })

  test('without a signature nothing is told or changed, with one it is', async () => {
    expect((await fromLan('/api/config/export')).status).toBe(401)
    expect((await fromLan('/api/config', '-H', 'Content-Type:', '-d', config)).status).toBe(401)
    expect(await signed('GET', '/api/config/export')).toEqual({ status: 200, text: config })
    const events = await signed('GET', '/api/events')
    expect(events).toMatchObject({ status: 200, text: expect.stringContaining('"boot"') })
  })

  test('a report comes as an archive, with what the system says, and without the settings', async () => {
    const { nonce } = JSON.parse((await fromLan('/api/nonce')).text)
    const path = '/api/report'
    const bodySha256 = createHash('sha256').digest('hex')
    const signature = await machine.succeed(
      ['ssh-keygen', '-Y', 'sign', '-n', signatureNamespace, '-f', '/tmp/alice'],
      { stdin: signedText({ nonce, path, bodySha256 }) },
    )
    const mark = `story-${Date.now()}`
    await gateway.succeed(`echo db_password=Zq7hunter2 | systemd-cat -t ${mark}`)
    const status = await machine.succeed(
      [
        ...['curl', '-sS', '--max-time', '400', '-o', '/tmp/report.tar.gz', '-w', '%{http_code}'],
        ...['-H', `X-AtomixOS-Nonce: ${nonce}`],
        ...['-H', `X-AtomixOS-Signature: ${Buffer.from(signature).toString('base64')}`],
        `http://${lanAddress}:8080${path}`,
      ],
      { timeoutMs: 420_000 },
    )
    expect(status).toBe('200')
    const archive = await readFile(join(machine.dir, 'tmp/report.tar.gz'))
    const tar = gunzipSync(archive)
    const text = tar.toString('latin1')
    process.stdout.write(`a report: ${archive.length} bytes, ${tar.length} unpacked\n`)
    process.stdout.write(tarMember(tar, 'report/left-out.txt'))
    // The programs that need most: of the kernel's messages, containers, the firewall, U-Boot's environment.
    const wanted = {
      'kernel.txt': 'Linux version',
      'containers.txt': 'app localhost/app:1 Up',
      'firewall.txt': 'table inet atomixos',
      'boot-environment.txt': 'BOOT_ORDER=',
      'rauc-status.txt': 'atomixos-rock64',
      'units.txt': 'app.service',
      'journal.txt': mark,
    }
    for (const [name, word] of Object.entries(wanted)) {
      const said = tarMember(tar, `report/${name}`)
      // A machine as slow as an emulated one may have no time for the last of them.
      if (!said.startsWith('[left out: the report took too long]')) expect(said, name).toContain(word)
    }
    expect(tarMember(tar, 'report/kernel.txt')).toContain('Linux version')
    expect(text).not.toContain('Zq7hunter2')
    expect(text).not.toContain('ssh_key =')
    expect(await gateway.failedUnits()).toEqual([])
    // It is root's alone, and nothing of it stays.
    await gateway.waitUntilSucceeds(
      "! systemctl list-units --all --plain --no-legend 'support-report@*' | grep -q .",
      {
        timeoutMs: 60_000,
      },
    )
    expect(await gateway.succeed('stat -c %a /run/atomixos/support-report.sock')).toBe('600\n')
    expect(await gateway.succeed('ls /run | grep -c atomixos-report || true')).toBe('0\n')
  })

  test.each(thoroughly)('a change whose container does not come up is taken back', async () => {
    const answer = await signed(
      'POST',
      '/api/config',
      config.replace('/usr/bin/sleep infinity', '/usr/bin/false'),
    )
    expect(answer.status).toBe(202)
    const { job_url } = JSON.parse(answer.text)
    expect((await signed('POST', '/api/config', config)).status).toBe(409)
    expect(await ended(job_url)).toMatchObject({ state: 'failed', rollback: 'completed' })
    expect((await signed('GET', '/api/config/export')).text).toBe(config)
    expect(await gateway.succeed('systemctl is-active app.service')).toBe('active\n')
  })

  test('a change of the network waits to be confirmed', async () => {
    const change = JSON.stringify({ firewall: { inbound: { wan: { tcp: [443] } } } })
    const answer = await signed('PATCH', '/api/config/network', change)
    expect(answer.status).toBe(202)
    const { job_url } = JSON.parse(answer.text)
    expect(await ended(job_url)).toMatchObject({ state: 'waiting-for-confirmation' })
    expect((await signed('POST', `${job_url}/confirm`)).status).toBe(200)
    await machine.waitUntilSucceeds(
      [
        'sh',
        '-c',
        `curl -sS --max-time 60 http://${lanAddress}:8080${job_url} | grep -q '"state":"succeeded"'`,
      ],
      { timeoutMs: 200_000 },
    )
    expect((await signed('GET', '/api/config/export')).text).toContain('tcp = [ 443 ]')
    await silent()
    const verified = await gateway.succeed('journalctl -b -u os-verification -o short-monotonic --no-pager')
    expect(await gateway.failedUnits(), verified).toEqual([])
  })
})
