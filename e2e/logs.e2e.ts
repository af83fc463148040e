/** What the journal gets is on /data as well: in large writes, bounded, whole after an orderly stop, and never in the way. */
import { join } from 'node:path'
import { systemLog, systemLogFolder, systemLogPath } from '@atomixos/config'
import type { Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freshState } from './fresh.ts'
import { bootMs, waitUntilUp } from './gateway.ts'
import { forkGateway, type ProvisionedGateway } from './provisioned.ts'
import { storyDir } from './setup.ts'

describe('logs', () => {
  let device: ProvisionedGateway
  let gateway: Machine

  beforeAll(async () => {
    device = await forkGateway(await freshState(), join(await storyDir('logs'), 'device'))
    gateway = device.gateway
  }, 4 * bootMs)
  afterAll(async () => {
    await device?.[Symbol.asyncDispose]()
  })

  const lineBytes = 1000
  /** Each line has its number and the word, and is about a kilobyte. */
  const say = (word: string, count: number) =>
    gateway.succeed(
      `line=$(head -c ${lineBytes} /dev/zero | tr '\\0' .); seq ${count} | sed "s/$/ $line/; s/^/${word} /" | systemd-cat -t story`,
      { timeoutMs: 120_000 },
    )
  const sizeBytes = async () =>
    Number(await gateway.succeed(`stat -c %s ${systemLogPath} 2>/dev/null || echo 0`))
  const inLog = (text: string) => `grep -qF -- '${text}' ${systemLogPath}`

  test('nothing is written until there is much to write', async () => {
    const { bufferBytes } = systemLog
    // At most one of three rounds can meet the timer, which writes out what there is.
    const added: number[] = []
    for (const round of ['first', 'second', 'third']) {
      const before = await sizeBytes()
      await say(round, Math.ceil((3 * bufferBytes) / lineBytes))
      await gateway.waitUntilSucceeds(
        `test "$(stat -c %s ${systemLogPath})" -ge ${before + 2 * bufferBytes}`,
        { timeoutMs: 120_000 },
      )
      added.push((await sizeBytes()) - before)
      if (added.at(-1)! % bufferBytes === 0) break
    }
    expect(added.at(-1)! % bufferBytes, `sizes of writes: ${added.join(', ')}`).toBe(0)
  })

  test('it begins with what the kernel said first, and has what people can read again with grep', async () => {
    await say('readable', 1)
    await gateway.waitUntilSucceeds(`systemctl reload system-log && ${inLog(' readable 1 ..')}`)
    expect(await gateway.succeed(`head -n 1 ${systemLogPath}`)).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 kernel: Booting Linux on /,
    )
    expect(await gateway.succeed(`stat -c '%U %a' ${systemLogPath}`)).toBe('syslog 640\n')
  })

  test('a container takes the same path', async () => {
    await gateway.succeed(
      [
        'tar -C / --dereference -c usr/bin/echo usr/lib/aarch64-linux-gnu/libc.so.6 lib/ld-linux-aarch64.so.1',
        '| podman import --quiet - localhost/talker:1',
      ].join(' '),
      { timeoutMs: 300_000 },
    )
    await gateway.succeed(
      'podman run --rm --network=none --name talker localhost/talker:1 /usr/bin/echo words of a container',
      { timeoutMs: 300_000 },
    )
    await gateway.waitUntilSucceeds(
      `systemctl reload system-log && grep -qE '^[^ ]+ [^ ]+\\[[0-9]+\\]: words of a container$' ${systemLogPath}`,
    )
  })

  test('a report has it, without what was said by accident', async () => {
    await gateway.succeed('echo "started with api_token=hunter2 today" | systemd-cat -t careless')
    await gateway.waitUntilSucceeds(`systemctl reload system-log && ${inLog('hunter2')}`)
    // As over SSH, into a file elsewhere.
    await gateway.succeed('atomixctl report - >/run/report.tar.gz', { timeoutMs: 240_000 })
    const names = (await gateway.succeed('tar -tzf /run/report.tar.gz')).split('\n')
    expect(names).toEqual(
      expect.arrayContaining(['report/status.txt', 'report/events.jsonl', 'report/kernel.txt']),
    )
    await gateway.succeed('tar -xzOf /run/report.tar.gz >/run/all')
    expect(await gateway.succeed('grep -a careless /run/all')).toContain(
      'started with api_token=[removed] today',
    )
    await gateway.fail('grep -a hunter2 /run/all')
    // Every program that is asked is there.
    await gateway.fail("grep -a 'spawn .* ENOENT' /run/all")
    expect(await gateway.succeed('ls -d /run/atomixos-report-* 2>/dev/null | wc -l')).toBe('0\n')
  })

  test('a full file is put aside, the oldest is written over, and the log goes on', async () => {
    const { olderFiles, fileBytesMax } = systemLog
    // As if the device had run for months.
    await gateway.succeed(`set -e
      systemctl stop system-log
      cd ${systemLogFolder}
      yes 'an old line' | head -c ${fileBytesMax - 100_000} >system.log
      for n in $(seq ${olderFiles}); do echo "file $n" >system.log.$n; done
      chown syslog:syslog system.log*
      systemctl start system-log`)
    await say('rotating', 600)
    await gateway.waitUntilSucceeds(`grep -qx 'file 1' ${systemLogFolder}/system.log.2`)
    // More than two buffers further: not just what was on its way.
    await say('behind', 400)
    await gateway.waitUntilSucceeds(`systemctl reload system-log && ${inLog(' behind 400 ..')}`)
    const files = (await gateway.succeed(`ls ${systemLogFolder}`)).trim().split('\n')
    expect(files).toHaveLength(olderFiles + 1)
    expect(await gateway.succeed(`cat ${systemLogFolder}/system.log.${olderFiles}`)).toBe(
      `file ${olderFiles - 1}\n`,
    )
    // No line was lost on the way from one file to the next.
    const counted = await gateway.succeed(
      `cat ${systemLogFolder}/system.log.1 ${systemLogPath} | grep -c ' rotating [0-9]* '`,
    )
    expect(Number(counted)).toBe(600)
    expect(Number(await gateway.succeed(`stat -c %s ${systemLogFolder}/system.log.1`))).toBeLessThan(
      fileBytesMax + systemLog.bufferBytes + lineBytes,
    )
  })

  test('a full /data loses lines and stops nobody; with room the log goes on', async () => {
    await gateway.succeed(
      // The share that is root's alone as well.
      'fallocate -l "$(($(stat -f -c "%f * %S" /data)))" /data/fill 2>/dev/null; head -c 300M /dev/zero >/data/fill-rest 2>/dev/null; ! echo x >/data/no-room',
    )
    await say('nowhere', 400)
    await gateway.waitUntilSucceeds(
      "journalctl -u system-log -o cat | grep -q 'system.log.*No space left on device'",
    )
    expect(await gateway.failedUnits()).toEqual([])
    expect(await gateway.succeed('journalctl -t story -o cat -n 1')).toContain('nowhere 400')
    await gateway.succeed('rm -f /data/fill /data/fill-rest /data/no-room')
    await say('again', 400)
    await gateway.waitUntilSucceeds(`systemctl reload system-log && ${inLog(' again 400 ..')}`)
  })

  test('an orderly stop writes everything down, the last words of services too', async () => {
    await gateway.succeed(
      "systemd-run --unit=talkative --property='ExecStop=/usr/bin/echo last words of a service' sleep infinity",
    )
    await say('before the end', 1)
    await gateway.reboot({ timeoutMs: bootMs })
    await gateway.waitUntilSucceeds(`systemctl reload system-log && ${inLog('Linux version')}`, {
      timeoutMs: bootMs,
    })
    const text = await gateway.succeed(
      `grep -n 'last words\\|before the end\\|Linux version' ${systemLogPath}`,
    )
    const order = ['before the end 1', 'last words of a service', 'Linux version']
    const places = order.map((word) => text.lastIndexOf(word))
    expect(places, text).not.toContain(-1)
    expect(places.toSorted((a, b) => a - b)).toEqual(places)
  })

  test('a read-only /data stops nobody either', async () => {
    await waitUntilUp(gateway)
    await gateway.succeed('echo u >/proc/sysrq-trigger')
    await gateway.waitUntilSucceeds('findmnt -no OPTIONS /data | grep -q "^ro,"')
    await say('read-only', 400)
    await gateway.waitUntilSucceeds(
      "journalctl -u system-log -o cat | grep -q 'system.log.*Read-only file system'",
    )
    await gateway.systemctl('is-active', 'system-log')
    expect(await gateway.succeed('journalctl -t story -o cat -n 1')).toContain('read-only 400')
    await gateway.shutdown()
  })
})
