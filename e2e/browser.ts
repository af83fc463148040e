/**
 * A real browser that looks at pages from within a network of a lab: Chromium without a window, driven over a pipe, so
 * that the network it is in leads to the device and nowhere else.
 */
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Programs } from '@atomixos/machine'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

export interface BrowserOptions {
  /** The tree of the browser: `tools-browser`. */
  readonly programs: Programs
  /** Where pages are looked at from: `enter` of a lab's host. Left out: this machine's own network. */
  readonly enter?: (argv: readonly string[]) => readonly string[]
  /** Where pictures are put, and the browser's own files while it runs. */
  readonly dir: string
  /** For each wait for an element or an answer. */
  readonly timeoutMs?: number
}

export interface WindowOptions {
  /** In CSS pixels. */
  readonly size: { readonly width: number; readonly height: number }
  /** A finger instead of a mouse, and a phone's narrow page. */
  readonly touch?: boolean
  /** Default: true. */
  readonly javaScript?: boolean
  readonly dark?: boolean
  /** Device pixels for each CSS pixel. Default: 1. */
  readonly scale?: number
}

/** The windows that people have. */
export const desktop: WindowOptions = { size: { width: 1280, height: 800 } }
export const phone: WindowOptions = { size: { width: 390, height: 844 }, touch: true, scale: 2 }

export interface StoryBrowser extends AsyncDisposable {
  /** A window with cookies and a cache of its own, empty. */
  open(options: WindowOptions): Promise<StoryWindow>
  /** Chromium's own, such as 156.0.8078.108. */
  readonly version: string
  /** The only folder of this machine that it sees: for what is uploaded. */
  readonly folder: string
}

export interface StoryWindow extends AsyncDisposable {
  readonly page: Page
  /** A PNG, `NAME.png` in the folder of the pictures, of the whole page or what the window shows of it; gives its path. */
  picture(name: string, options?: { readonly whole?: boolean }): Promise<string>
  /**
   * What went wrong behind the page so far, and forgets it: errors and warnings of the console, exceptions, requests
   * that failed, answers of 400 and more. `expected` says what may have.
   */
  troubles(expected?: RegExp): string[]
}

const timeoutMsDefault = 60_000

/** What can be measured of a page as it is shown now. */
export interface Look {
  /** CSS pixels that do not fit the width of the window. */
  readonly overflowPx: number
  /** What is pressed and typed into, with its size in CSS pixels. */
  readonly targets: readonly { readonly name: string; readonly width: number; readonly height: number }[]
  /** Of each text against what is behind it: 1 to 21, as WCAG counts. */
  readonly contrasts: readonly { readonly text: string; readonly ratio: number }[]
  /** Fields without a label. */
  readonly unlabelled: readonly string[]
}

export async function lookAt(page: Page): Promise<Look> {
  const { widthPx, ...seen } = (await page.evaluate(look)) as Omit<Look, 'overflowPx'> & { widthPx: number }
  // A phone's browser zooms out for a page that is too wide, and calls that the width of the window.
  return { ...seen, overflowPx: widthPx - page.viewportSize()!.width }
}

export interface Focus {
  /** Its id, or its text. */
  readonly name: string
  /** Whether one can see that it has the focus. */
  readonly ring: boolean
}

export async function focusOf(page: Page): Promise<Focus> {
  return (await page.evaluate(`(() => {
    const element = document.activeElement
    const { outlineStyle, outlineWidth } = getComputedStyle(element)
    return {
      name: element.id || element.textContent.trim().slice(0, 60),
      ring: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2,
    }
  })()`)) as Focus
}

/** Run in the page, of which this project's types know nothing. */
const look = `(() => {
  const shown = (element) => element.checkVisibility({ visibilityProperty: true })
    && !element.closest('#said:not(.seen)') && element.type !== 'hidden'
  const pressed = [...document.querySelectorAll('a,button,input,textarea,summary,select')].filter(shown)
  const colour = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number)
    return text.startsWith('color(') ? { rgb: [r, g, b].map((value) => value * 255), a } : { rgb: [r, g, b], a }
  }
  const over = (top, below) => top.rgb.map((value, index) => value * top.a + below[index] * (1 - top.a))
  const probe = document.createElement('div')
  const canvas = () => {
    probe.style.backgroundColor = 'Canvas'
    document.body.append(probe)
    const { rgb } = colour(getComputedStyle(probe).backgroundColor)
    probe.remove()
    return rgb
  }
  const ground = canvas()
  const behind = (element) => {
    const chain = []
    for (let at = element; at; at = at.parentElement) chain.unshift(at)
    return chain.reduce((below, at) => over(colour(getComputedStyle(at).backgroundColor), below), ground)
  }
  const opacity = (element) => {
    let value = 1
    for (let at = element; at; at = at.parentElement) value *= Number(getComputedStyle(at).opacity)
    return value
  }
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const texts = [...document.body.querySelectorAll('*')].filter((element) => shown(element)
    && !['SCRIPT', 'NOSCRIPT', 'STYLE'].includes(element.tagName)
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== ''))
  return {
    widthPx: document.documentElement.scrollWidth,
    targets: pressed.map((element) => {
      const { width, height } = element.getBoundingClientRect()
      return { name: element.id || element.textContent.trim(), width, height }
    }),
    contrasts: texts.map((element) => {
      const below = behind(element)
      const front = colour(getComputedStyle(element).color)
      const [a, b] = [light(over({ ...front, a: front.a * opacity(element) }, below)), light(below)]
      return { text: element.textContent.trim().slice(0, 60), ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) }
    }),
    unlabelled: pressed.filter((element) => 'labels' in element && element.tagName !== 'BUTTON'
      && element.labels.length === 0).map(({ name }) => name),
  }
})()`

export async function launchBrowser({
  programs,
  enter = (argv) => argv,
  dir: folder,
  timeoutMs = timeoutMsDefault,
}: BrowserOptions): Promise<StoryBrowser> {
  const { rootDir } = programs
  if (rootDir === undefined) throw new Error('the browser comes from a tree of programs')
  const dir = resolve(folder)
  const ownDir = join(dir, 'browser')
  await rm(ownDir, { recursive: true, force: true })
  for (const name of ['home', 'downloads']) await mkdir(join(ownDir, name), { recursive: true })
  const fontsPath = join(ownDir, 'fonts.conf')
  await writeFile(fontsPath, fonts)
  const argv = enter([
    ...programs.argv('bwrap'),
    ...['--unshare-pid', '--unshare-ipc', '--die-with-parent', '--new-session'],
    ...['--ro-bind', join(rootDir, 'usr'), '/usr', '--ro-bind', join(rootDir, 'etc'), '/etc'],
    ...['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]),
    ...[
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp',
      '--tmpfs',
      '/dev/shm',
      '--bind',
      ownDir,
      ownDir,
    ],
    ...['--clearenv', '--setenv', 'PATH', '/usr/bin', '--setenv', 'HOME', join(ownDir, 'home')],
    ...['--setenv', 'FONTCONFIG_FILE', fontsPath, '--setenv', 'LC_ALL', 'C.UTF-8'],
    ...['--', '/usr/lib/chromium/chromium-headless-shell'],
  ])
  // Playwright starts one program and hands it the pipe; this one becomes the browser.
  const starter = join(ownDir, 'start')
  await writeFile(starter, `#!/bin/sh\nexec ${argv.map(quoted).join(' ')} "$@"\n`)
  await chmod(starter, 0o755)
  const browser = await chromium.launch({
    executablePath: starter,
    downloadsPath: join(ownDir, 'downloads'),
    timeout: 120_000,
    // It has a sandbox around itself, in which it could not make another.
    chromiumSandbox: false,
    args: ['--disable-gpu', '--disable-quic'],
  })
  return {
    version: browser.version(),
    folder: ownDir,
    open: (options) => openWindow(browser, { dir, timeoutMs, options }),
    async [Symbol.asyncDispose]() {
      await browser.close()
      await rm(ownDir, { recursive: true, force: true })
    },
  }
}

async function openWindow(
  browser: Browser,
  { dir, timeoutMs, options }: { dir: string; timeoutMs: number; options: WindowOptions },
): Promise<StoryWindow> {
  const { size, touch = false, javaScript = true, dark = false, scale = 1 } = options
  const context = await browser.newContext({
    viewport: { ...size },
    deviceScaleFactor: scale,
    hasTouch: touch,
    isMobile: touch,
    javaScriptEnabled: javaScript,
    colorScheme: dark ? 'dark' : 'light',
    acceptDownloads: true,
    // Pictures of a page that is about to blink would differ each time.
    reducedMotion: 'reduce',
  })
  context.setDefaultTimeout(timeoutMs)
  const found: string[] = []
  watch(context, found)
  const page = await context.newPage()
  return {
    page,
    async picture(name, { whole = true } = {}) {
      const path = join(dir, `${name}.png`)
      await page.screenshot({ path, fullPage: whole })
      return path
    },
    troubles(expected) {
      return found.splice(0).filter((text) => expected === undefined || !expected.test(text))
    },
    [Symbol.asyncDispose]: () => context.close(),
  }
}

function watch(context: BrowserContext, found: string[]): void {
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) found.push(`console: ${message.text()}`)
  })
  context.on('weberror', (error) => found.push(`exception: ${error.error().message}`))
  context.on('requestfailed', (request) =>
    found.push(`${request.method()} ${request.url()}: ${request.failure()?.errorText}`),
  )
  context.on('response', (response) => {
    if (response.status() >= 400)
      found.push(`${response.request().method()} ${response.url()}: ${response.status()}`)
  })
}

/** The pictures that there are of a story. */
export async function picturesIn(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.png')).sort()
}

function quoted(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`
}

/** The tree's fonts are not set up: no install script ever runs. */
const fonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
<dir>/usr/share/fonts</dir><cachedir>/tmp/fonts</cachedir>
${[
  ['sans-serif', 'DejaVu Sans'],
  ['system-ui', 'DejaVu Sans'],
  ['monospace', 'DejaVu Sans Mono'],
  ['ui-monospace', 'DejaVu Sans Mono'],
]
  .map(
    ([family, font]) =>
      `<alias binding="same"><family>${family}</family><prefer><family>${font}</family></prefer></alias>`,
  )
  .join('\n')}
</fontconfig>
`
