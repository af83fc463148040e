/** One part of the boot chain after the other is broken, and the device ends up on a slot that works. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createMachine, type Disk, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { environmentBytes, environmentCopy, environmentOffsets } from './boot-environment.ts'
import { gatewayOptions, setup, storyDir, thoroughly } from './setup.ts'

/** Three tries of a slot that comes far, and then the other one, on a busy host: four minutes on an idle one. */
const bootMs = 1_200_000
const chunkBytes = 4 * 1024 * 1024

describe.concurrent('boot-chain', () => {
  let dir: string
  /** A disk after its first boot, with slot B holding what slot A holds. */
  let bothSlotsPath: string

  beforeAll(async () => {
    dir = await storyDir('boot-chain')
    bothSlotsPath = join(dir, 'both-slots.img')
    await using first = await createMachine(gatewayOptions(join(dir, 'first-boot')))
    await first.start()
    await first.waitForUnit('multi-user.target', { timeoutMs: bootMs })
    await first.shutdown()
    await copyPartition(first.disk, 'boot-a', 'boot-b')
    await copyPartition(first.disk, 'rootfs-a', 'rootfs-b')
    await first.disk.copyTo(bothSlotsPath)
    await rm(first.disk.path)
  })
  afterAll(async () => {
    if (bothSlotsPath) await rm(bothSlotsPath, { force: true })
  })

  /**
   * Boots a copy of the disk after `spoil` had its way with it; gives the slot that came up. Both slots hold the same: what only
   * U-Boot can get wrong is known when it starts a kernel, and a run that tells a part looks no further.
   */
  async function bootAfter(
    name: string,
    spoil: (machine: Machine) => Promise<void>,
    upTo: 'kernel' | 'end' = 'end',
  ): Promise<{ slot: string; console: string }> {
    const machine = await createMachine(
      gatewayOptions(join(dir, name), { disk: { image: bothSlotsPath }, panics: 'expected' }),
    )
    try {
      await spoil(machine)
      await machine.start()
      if (upTo === 'kernel' && !setup.thorough) {
        await machine.waitForConsoleText('Starting kernel', { from: 0, timeoutMs: bootMs })
        const { text } = machine.console
        return { slot: tries(text).at(-1) ?? 'none', console: text }
      }
      await machine.waitForUnit('multi-user.target', { timeoutMs: bootMs })
      const slot = /\brauc\.slot=(\S+)/.exec(String(await machine.readFile('/proc/cmdline')))?.[1] ?? 'none'
      return { slot, console: machine.console.text }
    } finally {
      await machine[Symbol.asyncDispose]()
      await rm(machine.disk.path, { force: true })
    }
  }

  test.each(thoroughly)('nothing broken: A boots at the first try', async () => {
    const { slot, console } = await bootAfter('healthy', async () => {})
    expect(slot).toBe('A')
    expect(tries(console)).toEqual(['A'])
  })

  test('boot-a file system destroyed: three tries, then B', async () => {
    const { slot, console } = await bootAfter(
      'boot-a-zeroed',
      async ({ disk }) => {
        const partition = await disk.partition('boot-a')
        await disk.zero(partition.offsetBytes, 2 * 1024 * 1024)
      },
      'kernel',
    )
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['A', 'A', 'A', 'B'])
  })

  test('boot.scr missing: three tries, then B', async () => {
    const { slot, console } = await bootAfter(
      'no-boot-scr',
      ({ disk }) => deleteBootScript(disk, 'boot-a'),
      'kernel',
    )
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['A', 'A', 'A', 'B'])
    expect(console).toContain('ab: slot A: no boot.scr')
  })

  test('one bit of the kernel wrong: its hash tells, three tries, then B', async () => {
    const { slot, console } = await bootAfter(
      'kernel-damaged',
      async ({ disk }) => {
        await disk.damage((await findKernel(disk, 'boot-a')) + 9_000_000, 1)
      },
      'kernel',
    )
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['A', 'A', 'A', 'B'])
  })

  test.each(thoroughly)('squashfs superblock destroyed: three tries, then B', async () => {
    const { slot, console } = await bootAfter('squashfs-superblock', async ({ disk }) => {
      await disk.damage((await disk.partition('rootfs-a')).offsetBytes, 4096)
    })
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['A', 'A', 'A', 'B'])
  })

  test('squashfs damaged in many places: verity tells, three tries, then B', async () => {
    const { slot, console } = await bootAfter('squashfs-damaged', async ({ disk }) => {
      const { offsetBytes } = await disk.partition('rootfs-a')
      for (let megabyte = 1; megabyte < 64; megabyte++) {
        await disk.damage(offsetBytes + megabyte * 1024 * 1024, 64 * 1024)
      }
    })
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['A', 'A', 'A', 'B'])
  })

  test('blank environment: the built-in defaults, A boots, and a valid copy is written', async () => {
    const { slot, console } = await bootAfter(
      'blank-environment',
      async ({ sdCard }) => {
        await sdCard.zero(0, sdCard.sizeBytes)
      },
      'kernel',
    )
    expect(slot).toBe('A')
    expect(tries(console)).toEqual(['A'])
  })

  test('one copy of the environment half written: the other one counts', async () => {
    const { slot, console } = await bootAfter(
      'half-written-environment',
      async ({ sdCard }) => {
        const good = environmentCopy({ BOOT_ORDER: 'B A', BOOT_A_LEFT: '3', BOOT_B_LEFT: '3' }, 1)
        const next = environmentCopy({ BOOT_ORDER: 'A B', BOOT_A_LEFT: '3', BOOT_B_LEFT: '2' }, 2)
        await sdCard.write(environmentOffsets[0], good)
        // The power went when half of the newer copy was on the card; the rest is what was there before.
        await sdCard.write(environmentOffsets[1], next.subarray(0, 512))
        await sdCard.write(environmentOffsets[1] + 512, Buffer.alloc(environmentBytes - 512, 0xa5))
      },
      'kernel',
    )
    expect(slot).toBe('B')
    expect(tries(console)).toEqual(['B'])
  })

  test('both copies destroyed: the built-in defaults, A boots', async () => {
    const { slot } = await bootAfter(
      'environment-destroyed',
      async ({ sdCard }) => {
        for (const offset of environmentOffsets)
          await sdCard.write(offset, Buffer.alloc(environmentBytes, 0x5a))
      },
      'kernel',
    )
    expect(slot).toBe('A')
  })

  test('both counters at zero: a wait, then one more try', async () => {
    const { slot, console } = await bootAfter(
      'counters-zero',
      async ({ sdCard }) => {
        const spent = environmentCopy({ BOOT_ORDER: 'B A', BOOT_A_LEFT: '0', BOOT_B_LEFT: '0' }, 1)
        for (const offset of environmentOffsets) await sdCard.write(offset, spent)
      },
      'kernel',
    )
    expect(slot).toBe('B')
    expect(console).toContain('ab: no slot has tries left')
    expect(tries(console)).toEqual(['B'])
  })

  test('a hostile environment with a valid checksum changes nothing but the order', async () => {
    const { slot, console } = await bootAfter(
      'hostile-environment',
      async ({ sdCard }) => {
        const hostile = environmentCopy(
          {
            BOOT_ORDER: 'B A',
            BOOT_A_LEFT: 'xyz',
            BOOT_B_LEFT: '3',
            ab_boot: 'echo HOSTILE; reset',
            bootcmd: 'echo HOSTILE; reset',
            bootargs: 'init=/bin/sh',
            verify: 'no',
          },
          1,
        )
        for (const offset of environmentOffsets) await sdCard.write(offset, hostile)
      },
      'kernel',
    )
    expect(slot).toBe('B')
    expect(console).not.toMatch(/^HOSTILE/m)
  })
})

/** The slots that the selector tried, in order, over all resets. */
function tries(console: string): string[] {
  return [...console.matchAll(/^ab: try slot ([AB])/gm)].map((match) => match[1]!)
}

async function copyPartition(disk: Disk, from: string, to: string): Promise<void> {
  const source = await disk.partition(from)
  const target = await disk.partition(to)
  for (let done = 0; done < source.sizeBytes; done += chunkBytes) {
    const chunk = await disk.read(source.offsetBytes + done, Math.min(chunkBytes, source.sizeBytes - done))
    // Slot B is new and reads as zeros; writing them would only fill the sparse file.
    if (chunk.some((byte) => byte !== 0)) await disk.write(target.offsetBytes + done, chunk)
  }
}

/** As FAT deletes a file: its directory entry gets a mark. */
async function deleteBootScript(disk: Disk, label: string): Promise<void> {
  const entry = await findBytes(disk, label, Buffer.from('BOOT    SCR'), 512)
  await disk.write(entry, Buffer.from([0xe5]))
}

/** Where the arm64 kernel image begins: its header says ARM\x64 at byte 56. */
async function findKernel(disk: Disk, label: string): Promise<number> {
  return (await findBytes(disk, label, Buffer.from('ARM\x64', 'latin1'), 512, 56)) - 56
}

async function findBytes(
  disk: Disk,
  label: string,
  wanted: Buffer,
  alignBytes: number,
  atByte?: number,
): Promise<number> {
  const { offsetBytes, sizeBytes } = await disk.partition(label)
  for (let done = 0; done < sizeBytes; done += chunkBytes) {
    const chunk = await disk.read(offsetBytes + done, Math.min(chunkBytes, sizeBytes - done))
    let found = chunk.indexOf(wanted)
    while (found !== -1) {
      const aligned = atByte === undefined ? found % 32 === 0 : found % alignBytes === atByte
      if (aligned) return offsetBytes + done + found
      found = chunk.indexOf(wanted, found + 1)
    }
  }
  throw new Error(`${label} does not contain ${JSON.stringify(wanted.toString('latin1'))}`)
}
