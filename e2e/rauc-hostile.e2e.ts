/** Bundles, servers and programs that mean no good: each is refused with a reason, and nothing on the device changes. */
import { readFile, stat } from 'node:fs/promises'
import { bundleDownloadPath, serverAuthoritiesPath, updateApi } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BundleName } from './bundle-fixtures.ts'
import { deviceEvents, holdUpdateTimer } from './gateway.ts'
import { nextBundlePath, type ProvisionedGateway, provisionedGateway } from './provisioned.ts'
import { seededNumbers } from './seeded.ts'
import { bundlePath, seededPart, setup, storyDir, thoroughly } from './setup.ts'
import { type Answer, createUpdateServer, serveBundle, type UpdateServer } from './update-server.ts'

const seed = 19700101
const updateMs = 400_000

/** Everything that a refused update must leave as it is. */
async function untouched(gateway: Machine): Promise<string> {
  return gateway.succeed(
    [
      'fw_printenv BOOT_ORDER BOOT_A_LEFT BOOT_B_LEFT SLOT_A_STATE SLOT_B_STATE',
      'for part in boot-a rootfs-a boot-b rootfs-b; do head -c 4194304 /dev/atomixos/$part | sha256sum; done',
      'systemctl is-system-running',
    ].join('; '),
    { timeoutMs: 120_000 },
  )
}

describe('rauc-hostile: bundles', () => {
  let device: ProvisionedGateway
  let server: UpdateServer
  let gateway: Machine
  let before: string

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('rauc-hostile-bundles'))
    gateway = device.gateway
    await holdUpdateTimer(gateway)
    server = await createUpdateServer(device.network)
    before = await untouched(gateway)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  /** Put on the device and installed by hand, by root: what is refused there is refused to everybody. */
  async function refusal(name: BundleName): Promise<string> {
    const bundle = await readFile(bundlePath(name))
    server.answer = (_, response) => response.end(bundle)
    await gateway.succeed(`curl -sSfk -o /data/hostile.raucb ${server.url}/x`, { timeoutMs: 300_000 })
    try {
      return await gateway.fail('atomixctl update install --no-restart /data/hostile.raucb', {
        timeoutMs: updateMs,
      })
    } finally {
      await gateway.succeed('rm /data/hostile.raucb')
      expect(await untouched(gateway)).toBe(before)
    }
  }

  test.each<[BundleName, RegExp]>([
    ['unsigned', /signature/i],
    ['other-authority', /unable to get local issuer certificate|self-signed certificate/],
    ['expired', /certificate has expired/],
    ['revoked', /certificate revoked/],
    ['not-for-code', /unsuitable certificate purpose|unsupported certificate purpose/],
    ['plain', /plain/],
    ['other-board', /it is for "atomixos-toaster", this is "atomixos-rock64"/],
    ['older', /version 0\.0\.9 is older than|min-bundle-version|lower than/],
  ])('%s: refused, with the reason', async (name, reason) => {
    expect(await refusal(name)).toMatch(reason)
  })

  test('cut off at any length: refused', async () => {
    const { size } = await stat(bundlePath('next'))
    const next = seededNumbers(seed)
    for (let count = 0; count < (setup.thorough ? 10 : 3); count++) {
      const bytes = count === 0 ? 0 : count === 1 ? size - 1 : Math.floor(next() * size)
      const said = await gateway.fail(
        `head -c ${bytes} ${nextBundlePath} >/data/cut.raucb; atomixctl update install --no-restart /data/cut.raucb`,
        { timeoutMs: updateMs },
      )
      expect(said).toMatch(/atomixctl: \/data\/cut\.raucb: \S/)
    }
    await gateway.succeed('rm /data/cut.raucb')
    expect(await untouched(gateway)).toBe(before)
  })

  /** Turns bits over, one at a time, and has RAUC install what comes of it. */
  async function refuseFlips(
    bundleOnDevice: string,
    bundle: Buffer,
    places: { readonly all: number; readonly part: number },
  ): Promise<void> {
    const next = seededNumbers(seed)
    const sizeBytes = bundle.byteLength
    const all = Array.from({ length: places.all }, (_, index) => {
      // A tenth of them in the signature and its length, which are a thousandth of a real file.
      const offset =
        index % 10 === 0 ? sizeBytes - 1 - Math.floor(next() * 3000) : Math.floor(next() * sizeBytes)
      const [right, wrong] = [bundle[offset]!, bundle[offset]! ^ (1 << Math.floor(next() * 8))]
      return `${offset} ${right.toString(8).padStart(3, '0')} ${wrong.toString(8).padStart(3, '0')}`
    })
    const lines = seededPart(all, places.part)
    await gateway.succeed(`cp ${bundleOnDevice} /data/flip.raucb`)
    await gateway.writeFile(
      '/tmp/flip',
      [
        'put() { printf "\\\\$2" | dd of=/data/flip.raucb bs=1 seek="$1" conv=notrunc status=none; }',
        'refused=0',
        'while read -r offset right wrong; do',
        '  put "$offset" "$wrong"',
        '  if rauc install /data/flip.raucb >/tmp/said 2>&1; then echo "installed: $offset $wrong"; exit 1; fi',
        '  grep -q . /tmp/said || { echo "no reason: $offset $wrong"; exit 1; }',
        '  put "$offset" "$right"',
        '  refused=$((refused + 1))',
        'done </tmp/places',
        `[ "$(sha256sum </data/flip.raucb)" = "$(sha256sum <${bundleOnDevice})" ] && echo "refused $refused"`,
      ].join('\n'),
    )
    // A few at a time: each has a deadline of its own, however many there are.
    for (let done = 0; done < lines.length; done += 10) {
      const some = lines.slice(done, done + 10)
      await gateway.writeFile('/tmp/places', `${some.join('\n')}\n`)
      const said = await gateway.succeed('sh /tmp/flip', { timeoutMs: 300_000 })
      expect(said).toBe(`refused ${some.length}\n`)
    }
    await gateway.succeed('rm /data/flip.raucb')
    expect(await untouched(gateway)).toBe(before)
  }

  test('one bit wrong, at 200 seeded places of a small bundle: refused', { timeout: 3_000_000 }, async () => {
    const bundle = await readFile(bundlePath('tiny'))
    await gateway.writeFile('/data/tiny.raucb', bundle)
    await refuseFlips('/data/tiny.raucb', bundle, { all: 200, part: 10 })
    await gateway.succeed('rm /data/tiny.raucb')
  })

  test('one bit wrong, at 20 seeded places of a real one: refused', { timeout: 1_500_000 }, async () => {
    await refuseFlips(nextBundlePath, await readFile(bundlePath('next')), { all: 20, part: 2 })
  })

  test('a program that is not root cannot talk to RAUC', async () => {
    const call = [
      'setpriv --reuid=65534 --regid=65534 --clear-groups',
      'busctl call de.pengutronix.rauc / de.pengutronix.rauc.Installer',
    ].join(' ')
    await gateway.succeed('systemctl start rauc')
    for (const method of [
      `InstallBundle 'sa{sv}' ${nextBundlePath} 0`,
      "Mark 'ss' bad booted",
      'GetSlotStatus',
    ]) {
      expect(await gateway.fail(`${call} ${method}`)).toMatch(/Access denied|not allowed|AccessDenied/)
    }
    expect(await untouched(gateway)).toBe(before)
  })
})

describe('rauc-hostile: servers', () => {
  let device: ProvisionedGateway
  let server: UpdateServer
  let gateway: Machine
  let before: string

  beforeAll(async () => {
    device = await provisionedGateway(await storyDir('rauc-hostile-servers'))
    gateway = device.gateway
    // It would poll what these servers say beside the story, and fail: a failed unit is not "untouched".
    await holdUpdateTimer(gateway)
    server = await createUpdateServer(device.network)
    await gateway.writeFile(serverAuthoritiesPath, server.authority)
    before = await untouched(gateway)
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await device?.[Symbol.asyncDispose]()
  })

  /** One poll as the timer does it; what it says. */
  async function poll(answer: Answer): Promise<string> {
    server.answer = answer
    const { stdout, stderr } = await gateway.execute('atomixctl update poll', {
      timeoutMs: updateMs + 400_000,
    })
    expect(await gateway.fail(`test -e ${bundleDownloadPath}`)).toBe('')
    expect(await untouched(gateway)).toBe(before)
    return stdout + stderr
  }

  const latest = (body: string, more?: Answer): Answer => {
    return (request, response) => {
      if (request.url === updateApi.latestPath) response.end(body)
      // It has no channel: what it offers is its own word.
      else if (more && !request.url!.startsWith('/channels/')) more(request, response)
      else response.writeHead(404).end()
    }
  }
  const offer = (version = '0.2.0') => JSON.stringify({ version, bundle_url: '/bundle.raucb' })

  test.each<[string, Answer, RegExp]>(
    seededPart<[string, Answer, RegExp]>(
      [
        ['answers garbage', latest('\0\u0001\ufffd{{{'), /the answer is not JSON/],
        ['answers a web page', latest('<html>log in first</html>'), /the answer is not JSON/],
        ['answers nothing', latest(''), /the answer is not JSON/],
        [
          'answers other types',
          latest('{"version":2,"bundle_url":["x"]}'),
          /"?version"? is number, not text/,
        ],
        ['is broken', (_, response) => response.writeHead(500).end('oops'), /500/],
        [
          'redirects to http',
          (_, response) => response.writeHead(302, { location: 'http://updates.test/latest' }).end(),
          /redirects? to http/,
        ],
        ['offers a bundle over http', latest('{"version":"0.2.0","bundle_url":"http://x.test/b"}'), /https/],
        ['hangs', () => {}, /did not answer within 30 s/],
        [
          'answers without end',
          (_, response) => {
            const more = () => {
              while (response.write('x'.repeat(65_536)));
            }
            response.on('drain', more)
            more()
          },
          /larger|too|more than/,
        ],
      ],
      5,
    ),
  )('%s', async (_, answer, reason) => {
    expect(await poll(answer)).toMatch(reason)
  })

  test('has a certificate that nobody vouches for', async () => {
    await gateway.succeed(`mv ${serverAuthoritiesPath} /data/aside`)
    expect(await poll(latest(offer()))).toMatch(/certificate is not trusted|certificate/)
    await gateway.succeed(`mv /data/aside ${serverAuthoritiesPath}`)
  })

  // The limit is a real bundle's: minutes. That more is announced than is taken is told in every run.
  test.each(thoroughly)('sends a bundle without end: ended at the limit', async () => {
    const endless: Answer = (_, response) => {
      const chunk = Buffer.alloc(1 << 20, 'endless ')
      const more = () => {
        while (response.write(chunk));
      }
      response.on('drain', more)
      more()
    }
    expect(await poll(latest(offer(), endless))).toMatch(/larger than|more than|limit/)
  })

  test('says more than it sends, and less', async () => {
    const short: Answer = (_, response) => {
      response.setHeader('content-length', 5_000_000)
      response.write(Buffer.alloc(1_000_000))
      setTimeout(() => response.destroy(), 1000)
    }
    expect(await poll(latest(offer(), short))).toMatch(/\S/)
    const twoGigabytes: Answer = (_, response) => {
      response.setHeader('content-length', 2 ** 31)
      response.write(Buffer.alloc(1000))
    }
    expect(await poll(latest(offer(), twoGigabytes))).toMatch(/larger than|more than|limit/)
  })

  test('trickles: ended by the least rate that is taken', { timeout: 900_000 }, async () => {
    const trickle: Answer = (_, response) => {
      response.setHeader('content-length', 100_000_000)
      const timer = setInterval(() => response.write(Buffer.alloc(1000)), 1000)
      response.on('close', () => clearInterval(timer))
    }
    expect(await poll(latest(offer(), trickle))).toMatch(/slow|B\/s|bytes/)
  })

  test('sends what is no bundle', async () => {
    expect(await poll(serveBundle('0.2.0', Buffer.alloc(3_000_000, 'no bundle ')))).toMatch(
      /version 0\.2\.0 was not installed: \S/,
    )
  })

  test('calls a bundle by another version: refused, and not fetched again at the next poll', async () => {
    const lie = serveBundle('0.9.0', await readFile(bundlePath('next')))
    expect(await poll(lie)).toContain('the server said version 0.9.0, and the bundle is version 0.2.0')
    expect(await poll(lie)).toMatch(/nothing to install: version 0\.9\.0 failed here before/)
  })

  test('/data is full: nothing is fetched, and the reason is told', async () => {
    await gateway.succeed('fallocate -l $(($(stat -f -c "%a * %S" /data) - 50000000)) /data/filler', {
      timeoutMs: 120_000,
    })
    expect(await poll(serveBundle('0.3.0', await readFile(bundlePath('next'))))).toMatch(/space|free/)
    await gateway.succeed('rm /data/filler')
  })

  test('what was refused can be read afterwards', async () => {
    const refused = (await deviceEvents(gateway)).filter(({ event }) => event === 'update-refused')
    expect(refused.map(({ version }) => version)).toEqual(expect.arrayContaining(['0.2.0', '0.9.0']))
    for (const { reason } of refused) expect(reason).toMatch(/\S/)
  })
})
