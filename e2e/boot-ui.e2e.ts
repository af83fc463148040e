/** A person sets a device up with a real browser: by keyboard only, on a phone, and without JavaScript. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { operatorConfigPath } from '@atomixos/config'
import type { Machine, SavedState } from '@atomixos/machine'
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  desktop,
  focusOf,
  launchBrowser,
  lookAt,
  phone,
  type StoryBrowser,
  type StoryWindow,
  type WindowOptions,
} from './browser.ts'
import { freshState } from './fresh.ts'
import { bootMs } from './gateway.ts'
import { lanAddress, lanMachine } from './operator-network.ts'
import { forkGateway } from './provisioned.ts'
import { browserPrograms, storyDir, thoroughly } from './setup.ts'
import { renderTerminal } from './terminal-picture.ts'

const page = `http://${lanAddress}:8080`
/** Until a page of an emulated device is there, on a busy host. */
const pageMs = 180_000
/** Until a configuration is applied, or taken back. */
const applyMs = 800_000

function configToml(exec = '/usr/bin/sleep infinity'): string {
  return `version = 1

[users.alice]
isAdmin = true
ssh_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU alice@desk"

[activation]
required = ["web"]
timeout_seconds = 200
settle_seconds = 10

[containers.container.web]
privileged = true
Container.Image = "localhost/app:1"
Container.Pull = "never"
Container.Exec = "${exec}"
Container.RunInit = true
`
}

interface Device extends AsyncDisposable {
  readonly gateway: Machine
  readonly browser: StoryBrowser
  readonly window: StoryWindow
}

describe('boot UI', () => {
  let dir: string
  let fresh: SavedState
  beforeAll(async () => {
    dir = await storyDir('boot-ui')
    fresh = await freshState()
  }, 4 * bootMs)

  /** A fresh device of its own, and somebody in its LAN with a browser, who has the page before him. */
  async function openDevice(name: string, options: WindowOptions): Promise<Device> {
    await using started = new AsyncDisposableStack()
    const { gateway, network } = started.use(await forkGateway(fresh, join(dir, name)))
    const machine = await lanMachine(network)
    // A browser gives up what it loads when an address is new, and those of IPv6 take seconds.
    await machine.waitUntilSucceeds(['sh', '-c', '! ip -6 -o address show tentative | grep -q .'])
    const browser = started.use(
      await launchBrowser({
        ...{ programs: browserPrograms(), dir, timeoutMs: pageMs },
        enter: (argv) => machine.enter(argv),
      }),
    )
    const window = started.use(await browser.open(options))
    await window.page.goto(page, { timeout: pageMs })
    const all = started.move()
    return { gateway, browser, window, [Symbol.asyncDispose]: () => all.disposeAsync() }
  }

  /** Nothing is cut off, too small for a finger, too pale, or nameless. */
  async function expectUsable({ page }: StoryWindow): Promise<void> {
    const { overflowPx, targets, contrasts, unlabelled } = await lookAt(page)
    expect({ overflowPx, unlabelled }).toEqual({ overflowPx: 0, unlabelled: [] })
    expect(targets.filter(({ width, height }) => width < 44 || height < 44)).toEqual([])
    expect(contrasts.length).toBeGreaterThan(3)
    expect(contrasts.filter(({ ratio }) => ratio < 4.5)).toEqual([])
  }

  const heading = (window: StoryWindow, text: string, timeout = applyMs) =>
    window.page.getByRole('heading', { level: 1, name: text }).waitFor({ timeout })

  /** Presses Tab until it is there; what is passed has to show that it has the focus. */
  async function tabTo(page: Page, wanted: string | RegExp, key = 'Tab'): Promise<string[]> {
    const passed: string[] = []
    for (let count = 0; count < 40; count++) {
      await page.keyboard.press(key)
      const { name, ring } = await focusOf(page)
      passed.push(name)
      expect(ring, `${name} shows that it has the focus`).toBe(true)
      if (typeof wanted === 'string' ? name === wanted : wanted.test(name)) return passed
    }
    throw new Error(`Tab does not lead to ${wanted}, but to ${passed.join(', ')}`)
  }

  async function expectApplied({ gateway }: Device, text: string): Promise<void> {
    expect(String(await gateway.readFile(operatorConfigPath))).toBe(text)
    expect(await gateway.succeed('systemctl is-active web.service')).toBe('active\n')
  }

  async function expectGone({ page, troubles }: StoryWindow): Promise<void> {
    await page.goto(new URL('/', page.url()).href, { timeout: pageMs })
    await page.getByRole('heading', { level: 1, name: 'This device is set up' }).waitFor()
    expect(await page.locator('form').count()).toBe(0)
    expect(troubles(/404/)).toEqual([])
  }

  test('by keyboard only: mistakes are shown at their lines, mended, and the device is set up', async () => {
    await using device = await openDevice('keyboard', desktop)
    const { window } = device
    const { page } = window
    const { keyboard } = page
    await window.picture('desktop-1-empty')
    await expectUsable(window)
    expect(await page.locator('body').ariaSnapshot()).toMatch(
      /- banner: AtomixOS[\s\S]*- main:[\s\S]*- heading "Set up this AtomixOS device" \[level=1\][\s\S]*- textbox "Or the text of a config.toml"[\s\S]*- button "Check and apply"/,
    )
    expect(await tabTo(page, 'text')).toEqual(['What is a config.toml?', 'file', 'text'])
    const good = configToml()
    // As pasting does.
    await keyboard.insertText(
      good.replace('required =', 'requierd =').replace('timeout_seconds = 200', 'timeout_seconds = 9000'),
    )
    expect(await tabTo(page, 'Check and apply')).toEqual(['Check and apply'])
    await keyboard.press('Enter')

    await page.getByRole('alert').waitFor({ timeout: pageMs })
    // Where a screen reader goes on, and the next Tab.
    expect(await focusOf(page)).toMatchObject({ name: 'problems' })
    await window.picture('desktop-2-problems')
    await window.picture('desktop-2-problems-window', { whole: false })
    await expectUsable(window)
    const problems = await page.getByRole('alert').ariaSnapshot()
    expect(problems).toContain('link "line 8, column 1"')
    expect(problems).toContain('did you mean "required"?')
    expect(problems).toContain('link "line 9, column 1"')
    expect(problems).toContain('allowed: 1 to 3600')
    expect(window.troubles(/422/)).toEqual([])

    await tabTo(page, /^line 8/)
    await keyboard.press('Enter')
    expect(await focusOf(page)).toMatchObject({ name: 'text' })
    // The line is selected: what is typed takes its place.
    await keyboard.type('required = ["web"]')
    await tabTo(page, /^line 9/, 'Shift+Tab')
    await keyboard.press('Enter')
    await keyboard.type('timeout_seconds = 200')
    expect(await page.locator('#text').inputValue()).toBe(good)
    await tabTo(page, 'Check and apply')
    await keyboard.press('Enter')

    await heading(window, 'The configuration is being applied', pageMs)
    await page.locator('li.running').first().waitFor()
    await window.picture('desktop-3-progress')
    await expectUsable(window)
    await heading(window, 'The configuration is active')
    await window.picture('desktop-4-applied')
    await expectUsable(window)
    const steps = await page.locator('ol.steps').allInnerTexts()
    expect(steps.join('\n')).not.toMatch(/waiting|running|failed|not done/)
    expect(steps[1]).toMatch(/active\s+web \(required\)/)
    expect(await page.getByRole('link', { name: `http://${lanAddress}:8080` }).count()).toBe(1)
    await tabTo(page, 'download')
    const [download] = await Promise.all([page.waitForEvent('download'), keyboard.press('Enter')])
    expect(download.suggestedFilename()).toBe('config.toml')
    expect(String(await buffer(await download.createReadStream()))).toBe(good)
    // A download ends the request that it was; a look that is not answered within 8 s is made again.
    expect(window.troubles(/ERR_ABORTED/)).toEqual([])
    await expectApplied(device, good)
    await expectGone(window)
    await window.picture('desktop-5-gone')
  })

  test('on a phone: a file is sent with a finger, and everything fits', async () => {
    await using device = await openDevice('phone', phone)
    const { browser, window } = device
    const { page } = window
    await window.picture('phone-1-empty')
    await expectUsable(window)
    const path = join(browser.folder, 'config.toml')
    const send = async (text: string) => {
      await writeFile(path, text)
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.locator('#file').tap()])
      await chooser.setFiles(path)
      await page.getByRole('button', { name: 'Check and apply' }).tap()
    }
    await send(configToml().replace('alice@desk"', 'alice@desk'))
    await page.getByRole('alert').waitFor({ timeout: pageMs })
    await window.picture('phone-2-problems')
    await expectUsable(window)
    expect(window.troubles(/422/)).toEqual([])

    // The form has the text of the first one by now; the mended file takes its place.
    await send(configToml())
    await heading(window, 'The configuration is being applied', pageMs)
    await page.locator('li.running').first().waitFor()
    await window.picture('phone-3-progress')
    await expectUsable(window)
    await heading(window, 'The configuration is active')
    await window.picture('phone-4-applied')
    await expectUsable(window)
    // A look that a busy device does not answer within 8 s is given up by the page, and made again.
    expect(window.troubles(/ERR_ABORTED/)).toEqual([])
    await expectApplied(device, configToml())
    await expectGone(window)
  })

  test.each(thoroughly)(
    'without JavaScript, in the dark: a failure says what was taken back, and then it works',
    async () => {
      await using device = await openDevice('no-javascript', { ...desktop, javaScript: false, dark: true })
      const { gateway, window } = device
      const { page } = window
      const send = async (text: string) => {
        await page.locator('#text').fill(text)
        await page.getByRole('button', { name: 'Check and apply' }).click()
        await heading(window, 'The configuration is being applied', pageMs)
      }
      await send(configToml('/usr/bin/false'))
      await heading(window, 'The configuration was not applied')
      await window.picture('failed-1')
      await expectUsable(window)
      const said = await page.getByRole('alert').innerText()
      expect(said).toMatch(/\bweb\b/)
      expect(said).toContain('What had been changed was taken back: the device is as it was before.')
      expect(await page.locator('ol.steps').first().innerText()).toMatch(/done\s+Go back/)
      await gateway.fail(`test -e ${operatorConfigPath}`)

      await page.getByRole('link', { name: 'Try again' }).click()
      await heading(window, 'Set up this AtomixOS device', pageMs)
      await send(configToml())
      await window.picture('no-javascript-1-progress')
      await expectUsable(window)
      await heading(window, 'The configuration is active')
      await window.picture('no-javascript-2-applied')
      await expectUsable(window)
      // The page loads itself anew: a picture may be in the way of that.
      expect(window.troubles(/ERR_ABORTED/)).toEqual([])
      await expectApplied(device, configToml())
      await expectGone(window)

      // The same for who sits at a terminal, with a picture of what stands there for the documents.
      await gateway.writeFile('/root/config.toml', configToml('/usr/bin/false'))
      const commands = [
        'atomixctl config apply config.toml',
        'systemctl is-active web',
        'atomixctl events | tail -n 4',
      ]
      let terminal = ''
      for (const command of commands) {
        const { stdout } = await gateway.execute(`cd /root; exec 2>&1; ${command}`, { timeoutMs: applyMs })
        terminal += `# ${command}\n${stdout}`
      }
      await writeFile(
        join(dir, 'roll-back.svg'),
        renderTerminal(
          terminal,
          'A terminal of a device: a configuration is applied whose container fails, it is taken back, and the container before it runs again',
        ),
      )
      expect(terminal).toMatch(/^rollback +done/m)
      expect(terminal).toContain('\nactive\n')
      expect(terminal).toContain('config-rolled-back')
      expect(String(await gateway.readFile(operatorConfigPath))).toBe(configToml())
    },
  )
})
