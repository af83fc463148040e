/** Somebody with a serial cable asks U-Boot for a root shell: it comes once, on that line, and nowhere else. */
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootMs, deviceEvents, waitUntilUp, waitUntilVerified } from './gateway.ts'
import { gatewayOptions, storyDir } from './setup.ts'

describe('rut-oh', () => {
  let gateway: Machine

  beforeAll(async () => {
    gateway = await createMachine(gatewayOptions(await storyDir('rut-oh')))
    await gateway.start()
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
  })

  /** What the shell answers on the console; the typed line itself has other text in it. */
  async function typed(command: string, answer: RegExp): Promise<string> {
    const from = gateway.console.position
    await gateway.sendConsole(`${command}\r`)
    return (await gateway.waitForConsoleText(answer, { from, timeoutMs: 60_000 })).text
  }

  test('U-Boot is told, on the serial line', async () => {
    await gateway.waitForConsoleText('boot in 1 s')
    await gateway.sendConsole('halt!')
    await gateway.waitForConsoleText('=> ')
    await typed('setenv _RUT_OH_ 1; saveenv; printenv _RUT_OH_', /^_RUT_OH_=1$/m)
    await gateway.sendConsole('reset\r')
  })

  test('the next start has a root shell there', async () => {
    await gateway.waitForConsoleText(/root shell, for this start only/, { timeoutMs: bootMs })
    expect(await typed('echo "i am $(id -u)" on "$(tty)"', /i am \d+ on \S+[\r\n]/)).toContain(
      'i am 0 on /dev/ttyAMA0',
    )
    // With job control: Ctrl-C ends what runs, not the shell.
    await gateway.sendConsole('sleep 1000\r')
    await gateway.sendConsole('\x03')
    await typed('echo "still $((40 + 2))"', /still 42/)
  })

  test('the request is gone before the shell is there', async () => {
    await waitUntilUp(gateway)
    expect(await gateway.succeed('fw_printenv -n BOOT_ORDER')).not.toBe('')
    expect((await gateway.execute('fw_printenv -n _RUT_OH_')).stdout.trim()).toBe('')
  })

  test('the rest of the system comes up, with nothing for anybody else', async () => {
    await waitUntilUp(gateway)
    expect(await gateway.failedUnits()).toEqual([])
    // Nobody else is asked for a name on this line.
    expect((await gateway.execute('systemctl is-active "serial-getty@*"')).stdout).not.toMatch(/^active/m)
    expect(await gateway.succeed('cut -d: -f2 /etc/shadow | grep -v "^[!*]" | wc -l')).toBe('0\n')
    const listening = (await gateway.succeed('ss -Htlnp')).trim().split('\n').filter(Boolean)
    // As on any device: SSH, names for itself, and the port of the API, which systemd holds.
    const usual = /127\.|"sshd"|systemd-resolve| 0\.0\.0\.0:8080 .*"systemd"/
    expect(listening.filter((line) => !usual.test(line))).toEqual([])
    const shells = await gateway.succeed("ps -eo tty=,args= | grep '[b]ash --login'")
    expect(shells.trim().split('\n')).toEqual([expect.stringMatching(/^ttyAMA0 +\/bin\/bash --login$/)])
  })

  test('while it lasts nothing is confirmed, given up or restarted, and the log of events tells', async () => {
    await waitUntilVerified(gateway)
    expect((await deviceEvents(gateway)).map(({ event }) => event)).toEqual(['boot', 'rescue-shell'])
    expect((await gateway.execute('systemctl is-active slot-deadline.timer')).stdout).toBe('inactive\n')
  })

  test('leaving it is an ordinary start, in which there is none', async () => {
    const from = gateway.console.position
    await gateway.sendConsole('exit\r')
    await gateway.waitForConsoleText(/ab: try slot A/, { from, timeoutMs: 120_000 })
    await waitUntilUp(gateway)
    expect(String(await gateway.readFile('/proc/cmdline'))).not.toContain('rescue')
    expect((await gateway.execute('systemctl is-active rescue-shell')).stdout).toBe('inactive\n')
    await gateway.waitForConsoleText(/ login: /, { from })
    await gateway.fail("ps -eo args= | grep '[b]ash --login'")
  })
})
