/** The selector in the real U-Boot chooses a slot, counts, falls back and recovers, whatever its environment holds. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { environmentCardBytes } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { beforeAll, describe, expect, test } from 'vitest'
import { environmentBytes, environmentCopy, environmentOffsets } from './boot-environment.ts'
import { readEnvironment } from './firmware/read-environment.ts'
import { makeStandInDisk, rootIds, type SlotContent } from './firmware/stand-in-disk.ts'
import { simulateSelector } from './power-campaign/selector.ts'
import { firmwarePath, programs, storyDir } from './setup.ts'

interface Scenario {
  readonly a?: SlotContent
  readonly b?: SlotContent
  readonly primaryTable?: 'whole' | 'wiped'
  /** The environment's two copies; zeros where left out. */
  readonly copies?: readonly (Buffer | undefined)[]
  readonly card?: 'whole' | 'missing' | 'too-small'
}

interface Outcome {
  /** Slots in the order they were tried. */
  readonly tries: string[]
  readonly console: string
  /** What is stored afterwards; undefined when no copy is whole. */
  readonly stored: ReadonlyMap<string, string> | undefined
}

const started = /stand-in: slot (.) runs with (.*)\n/
const noise = Buffer.alloc(environmentBytes, 'a5f0', 'hex')

describe.concurrent('firmware', () => {
  let dir: string

  beforeAll(async () => {
    dir = await storyDir('firmware')
  })

  /** A machine that has U-Boot, a disk and a card; no system. */
  async function machine(name: string, scenario: Scenario): Promise<Machine> {
    const place = join(dir, name.replaceAll(/\W+/g, '-'))
    await mkdir(place, { recursive: true })
    const { a = 'starts', b = 'starts', primaryTable = 'whole', card = 'whole', copies = [] } = scenario
    const disk = join(place, 'disk.raw')
    await makeStandInDisk(disk, { a, b, primaryTable }, programs)
    const cardPath = join(place, 'card.raw')
    // The card ends where the second copy should begin: the first one is read, the next one to write is not there.
    const cardBytes = Buffer.alloc(card === 'too-small' ? environmentOffsets[1] : environmentCardBytes)
    for (const [index, copy] of copies.entries()) cardBytes.set(copy ?? [], environmentOffsets[index])
    await writeFile(cardPath, cardBytes)
    return createMachine({
      name: 'selector',
      programs,
      dir: join(place, 'machine'),
      firmware: firmwarePath,
      disk: { file: disk },
      ...(card !== 'missing' && { sdCard: { file: cardPath } }),
      memoryBytes: 512 * 1024 * 1024,
      nics: [],
      agent: false,
      deadlineMs: 120_000,
      extraArguments: [
        // Time runs by instructions, about a hundred times as fast: waits of a minute take seconds.
        ...['-icount', 'shift=10,sleep=off'],
      ],
    })
  }

  async function boot(name: string, scenario: Scenario, until: RegExp = started): Promise<Outcome> {
    await using selector = await machine(name, scenario)
    await selector.start()
    await selector.waitForConsoleText(until, { timeoutMs: 60_000 })
    await selector.crash()
    const console = selector.console.text
    if ((scenario.card ?? 'whole') === 'whole') expectAsOnPaper(scenario, triesIn(console))
    const copies =
      scenario.card === undefined || scenario.card === 'whole'
        ? await Promise.all(
            environmentOffsets.map((offset) => selector.sdCard.read(offset, environmentBytes)),
          )
        : []
    return { tries: triesIn(console), console, stored: readEnvironment(copies) }
  }

  test('a new machine: defaults, slot A, and the try is on record', async () => {
    const { tries, console, stored } = await boot('blank', {})
    expect(tries).toEqual(['A left A=2 B=3 saved=1'])
    expect(console).toContain(`slot A runs with rauc.slot=A root=${rootIds.A}`)
    expect(stored?.get('BOOT_A_LEFT')).toBe('2')
  })

  test('the order is obeyed', async () => {
    const { tries, console } = await boot('order', { copies: [environmentCopy({ BOOT_ORDER: 'B A' }, 1)] })
    expect(tries).toEqual(['B left A=3 B=2 saved=1'])
    expect(console).toContain(`slot B runs with rauc.slot=B root=${rootIds.B}`)
  })

  describe('copies of the environment', () => {
    const good = environmentCopy({ BOOT_ORDER: 'B A', BOOT_B_LEFT: '2' }, 1)

    test('the first one damaged: the second one serves, and both are whole after the next boots', async () => {
      const { tries, stored } = await boot('first-damaged', { copies: [noise, good] })
      expect(tries).toEqual(['B left A=3 B=1 saved=1'])
      expect(stored?.get('BOOT_ORDER')).toBe('B A')
    })
    test('the second one damaged: the first one serves', async () => {
      expect((await boot('second-damaged', { copies: [good, noise] })).tries).toEqual([
        'B left A=3 B=1 saved=1',
      ])
    })
    test('the second one half written: the first one serves', async () => {
      const torn = environmentCopy({ BOOT_ORDER: 'A B', BOOT_A_LEFT: '3' }, 2)
      torn.fill(0xff, 20)
      expect((await boot('half-written', { copies: [good, torn] })).tries).toEqual(['B left A=3 B=1 saved=1'])
    })
    test('the newer one counts', async () => {
      const newer = environmentCopy({ BOOT_ORDER: 'A B', BOOT_A_LEFT: '1' }, 2)
      expect((await boot('newer', { copies: [good, newer] })).tries).toEqual(['A left A=0 B=3 saved=1'])
    })
    test('both damaged: defaults, and a whole one is stored', async () => {
      const { tries, stored } = await boot('both-damaged', { copies: [noise, noise] })
      expect(tries).toEqual(['A left A=2 B=3 saved=1'])
      expect(stored?.get('BOOT_A_LEFT')).toBe('2')
    })
  })

  describe('a hostile environment with a valid checksum', () => {
    test('nothing but the known variables is taken from it', async () => {
      const hostile = {
        bootcmd: 'echo PWNED',
        ab_boot: 'echo PWNED',
        ab_try: 'echo PWNED',
        preboot: 'echo PWNED',
        board_ums: 'echo PWNED',
        bootdelay: '-1',
        verify: 'no',
        stdin: 'none',
        slot_arguments: 'init=PWNED',
        BOOT_ORDER: 'B A',
        BOOT_A_LEFT: 'xyz',
        BOOT_B_LEFT: '999',
      }
      const { tries, console } = await boot('hostile', { copies: [environmentCopy(hostile, 1)] })
      expect(console).not.toContain('PWNED')
      expect(tries).toEqual(['B left A=3 B=2 saved=1'])
    })
    test.each([
      'Z ; reset',
      'B A ; reset',
      '$(reset) `reset` && reset || reset',
      '"',
      "' B A",
      `\${bootcmd}`,
      'A B A B',
    ])('an order that is none (%s) is taken for A B', async (order) => {
      const { tries, console, stored } = await boot(`order-${Buffer.from(order).toString('hex')}`, {
        copies: [environmentCopy({ BOOT_ORDER: order, SLOT_A_STATE: `"; reset`, START_UMS: '1;reset' }, 1)],
      })
      expect(console.match(/U-Boot 20/g)).toHaveLength(1)
      expect(tries).toEqual(['A left A=2 B=3 saved=1'])
      expect(stored?.get('BOOT_ORDER')).toBe('A B')
    })
    test('it can not switch the checksum of boot.scr off', async () => {
      const { tries } = await boot('verify-off', {
        a: 'damaged-script',
        copies: [environmentCopy({ verify: 'no', BOOT_A_LEFT: '1' }, 1)],
      })
      expect(tries.map((line) => line[0])).toEqual(['A', 'B'])
    })
  })

  test('an empty order means A B, and is stored again', async () => {
    const { tries, stored } = await boot('no-order', { copies: [environmentCopy({ BOOT_ORDER: '' }, 1)] })
    expect(tries).toEqual(['A left A=2 B=3 saved=1'])
    expect(stored?.get('BOOT_ORDER')).toBe('A B')
  })

  describe('counters', () => {
    test.each([
      ['1', '0'],
      ['3', '2'],
      ['9', '8'],
      ['10', '2'],
      ['010', '7'],
      ['999', '2'],
      ['', '2'],
    ])('"%s" tries left become %s', async (before, after) => {
      const { tries } = await boot(`counter-${before}`, {
        copies: [environmentCopy({ BOOT_A_LEFT: before }, 1)],
      })
      expect(tries).toEqual([`A left A=${after} B=3 saved=1`])
    })
    test('none left for A: B, although A is first in order', async () => {
      const copies = [environmentCopy({ BOOT_A_LEFT: '0' }, 1)]
      expect((await boot('a-spent', { copies })).tries).toEqual(['B left A=0 B=2 saved=1'])
    })
    test('a slot that is not in the order any more is the last choice', async () => {
      const copies = [environmentCopy({ BOOT_ORDER: 'B', BOOT_B_LEFT: '0' }, 1)]
      expect((await boot('out-of-order', { copies })).tries).toEqual(['A left A=2 B=0 saved=1'])
    })
  })

  describe('a slot that does not start', () => {
    const threeTriesThenB = [
      'A left A=2 B=3 saved=1',
      'A left A=1 B=3 saved=1',
      'A left A=0 B=3 saved=1',
      'B left A=0 B=2 saved=1',
    ]
    test.each<SlotContent>(['no-script', 'damaged-script', 'no-file-system', 'returns'])(
      '%s: three tries with a reset after each, then the other slot',
      async (a) => {
        const { tries, console } = await boot(`slot-${a}`, { a })
        expect(tries).toEqual(threeTriesThenB)
        expect(console.match(/U-Boot 20/g)).toHaveLength(4)
      },
    )
  })

  describe('no slot has tries left', () => {
    const spent = { BOOT_A_LEFT: '0', BOOT_B_LEFT: '0' }

    test('after a minute the first in order gets one more try', async () => {
      const { tries, console } = await boot('spent', {
        copies: [environmentCopy({ ...spent, BOOT_ORDER: 'B A' }, 1)],
      })
      expect(console).toContain('no slot has tries left, one more try in 60 s')
      expect(tries).toEqual(['B left A=1 B=0 saved=1'])
    })
    test('the only confirmed slot is revived alone, before the order counts', async () => {
      const { tries, stored } = await boot('spent-a-confirmed', {
        copies: [
          environmentCopy(
            { ...spent, BOOT_ORDER: 'B A', SLOT_A_STATE: 'confirmed', SLOT_B_STATE: 'pending' },
            1,
          ),
        ],
      })
      expect(tries).toEqual(['A left A=0 B=0 saved=1'])
      expect(stored?.get('SLOT_A_STATE')).toBe('revived')
    })
    test('a confirmed slot that is dead for good does not keep the other one from being tried', async () => {
      const { tries } = await boot('spent-a-dead', {
        a: 'returns',
        copies: [environmentCopy({ ...spent, SLOT_A_STATE: 'confirmed' }, 1)],
      })
      expect(tries).toEqual(['A left A=0 B=0 saved=1', 'A left A=0 B=1 saved=1', 'B left A=0 B=0 saved=1'])
    })
    test('neither slot starts: it goes on for ever, a minute between rounds, and never shows a prompt', async () => {
      const { tries, console } = await boot(
        'both-dead',
        { a: 'no-script', b: 'returns', copies: [environmentCopy(spent, 1)] },
        /(?:one more try in 60 s[\s\S]*){3}/,
      )
      expect(tries.map((line) => line[0])).toEqual(['A', 'B', 'A', 'B'])
      expect(console).not.toContain('=> ')
    })
    test('and nothing can be saved: both are tried all the same', async () => {
      const { tries } = await boot('spent-read-only', {
        a: 'returns',
        card: 'too-small',
        copies: [environmentCopy({ ...spent, SLOT_A_STATE: 'confirmed' }, 1)],
      })
      expect(tries.at(-1)).toMatch(/^B .* saved=0$/)
    })
  })

  describe('an environment that can not be stored', () => {
    test('card missing: A starts', async () => {
      expect((await boot('card-missing', { card: 'missing' })).tries).toEqual(['A left A=2 B=3 saved=0'])
    })
    test('card missing and A broken: B in the same run, without a reset', async () => {
      const { tries, console } = await boot('card-missing-a-broken', { card: 'missing', a: 'returns' })
      expect(tries.map((line) => line[0])).toEqual(['A', 'B'])
      expect(console.match(/U-Boot 20/g)).toHaveLength(1)
    })
    test('a request for rescue or USB that could not be cleared is not obeyed', async () => {
      const { console } = await boot('read-only-requests', {
        card: 'too-small',
        copies: [environmentCopy({ _RUT_OH_: '1', START_UMS: '1' }, 1)],
      })
      expect(console).toContain('START_UMS can not be cleared')
      expect(console).toContain(`runs with rauc.slot=A root=`)
    })
  })

  test('_RUT_OH_=1 reaches the kernel once', async () => {
    const { console, stored } = await boot('rescue', { copies: [environmentCopy({ _RUT_OH_: '1' }, 1)] })
    expect(console).toContain(`runs with rauc.slot=A atomixos.rescue=1 root=${rootIds.A}`)
    expect(stored?.has('_RUT_OH_')).toBe(false)
  })

  test('WATCHDOG=1 reaches every kernel, until it is taken back', async () => {
    const { console, stored } = await boot('watchdog', { copies: [environmentCopy({ WATCHDOG: '1' }, 1)] })
    expect(console).toContain(
      `runs with rauc.slot=A systemd.watchdog_sec=30 watchdog.open_timeout=120 root=${rootIds.A}`,
    )
    expect(stored?.get('WATCHDOG')).toBe('1')
  })

  test('START_UMS=1 is obeyed once, then the machine boots', async () => {
    const { console, stored } = await boot('ums', { copies: [environmentCopy({ START_UMS: '1' }, 1)] })
    expect(console).toMatch(/offered over USB[\s\S]*no USB device port[\s\S]*slot A runs/)
    expect(console.match(/offered over USB/g)).toHaveLength(1)
    expect(stored?.has('START_UMS')).toBe(false)
  })

  test('primary partition table wiped: the backup serves', async () => {
    const { console } = await boot('table-wiped', { primaryTable: 'wiped' })
    expect(console).toContain(`slot A runs with rauc.slot=A root=${rootIds.A}`)
  })

  describe('the serial line', () => {
    test('stray characters, Ctrl-C and Enter do not stop a boot', async () => {
      await using selector = await machine('noise', {})
      await selector.start()
      await selector.waitForConsoleText('boot in')
      await selector.sendConsole('\r\r \x03\x03q\x1b[A halt \x03\r')
      await selector.waitForConsoleText(started)
      expect(triesIn(selector.console.text)).toEqual(['A left A=2 B=3 saved=1'])
    })
    test('the stop word gives a prompt', async () => {
      await using selector = await machine('stop-word', {})
      await selector.start()
      await selector.waitForConsoleText('boot in')
      await selector.sendConsole('halt!')
      await selector.waitForConsoleText('=> ')
      await selector.sendConsole('printenv ab_if\r')
      await selector.waitForConsoleText('ab_if=virtio')
    })
    test('a prompt that nobody uses goes away, and the machine boots', async () => {
      await using selector = await machine('prompt-left-alone', {})
      await selector.start()
      await selector.waitForConsoleText('boot in')
      await selector.sendConsole('halt!')
      const { end } = await selector.waitForConsoleText('=> ')
      await selector.waitForConsoleText('Timeout waiting for command', { from: end, timeoutMs: 110_000 })
      await selector.waitForConsoleText(started, { from: end })
    })
  })
})

/** The selector that the power-cut campaign has on paper makes the same choices as the real one. */
function expectAsOnPaper({ a = 'starts', b = 'starts', copies = [] }: Scenario, tries: string[]): void {
  const stored = copies.map((copy) => copy ?? Buffer.alloc(environmentBytes))
  const contents = { A: a, B: b }
  const onPaper = simulateSelector(
    readEnvironment(stored),
    (slot) => contents[slot] === 'starts',
    tries.length,
  )
  expect(onPaper.tries.map(({ slot, left }) => `${slot} left A=${left.A} B=${left.B} saved=1`)).toEqual(tries)
}

/** `A left A=2 B=3 saved=1` for every try. */
function triesIn(console: string): string[] {
  return [...console.matchAll(/ab: try slot (.) \(order [^,]*, left ([^,]*), (saved=\d)\)/g)].map(
    ([, slot, left, saved]) => `${slot} left ${left} ${saved}`,
  )
}
