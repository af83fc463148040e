/**
 * Thousands of deltas that mean no good, always the same ones, as if somebody had the key to sign them. None makes anything
 * but the bundle that it names, or writes more than that, or fails in another way than the one that is declared, or has
 * more in memory at a time than a good one.
 */
import { DeltaError, type DeltaFrame, type DeltaHeader, type DeltaStep, deltaLimits } from '@atomixos/config'
import { seeded } from '@atomixos/config/channel/test-channels.ts'
import { rebuilt, render, testDelta } from '@atomixos/config/delta/test-deltas.ts'
import { expect, test } from 'vitest'

const good = await testDelta()
const largestBytesMax = deltaLimits.dictionaryBytesMax

async function requireHarmless(bytes: Buffer, resultBytes = good.bundle.byteLength): Promise<boolean> {
  const { bundle, problem, writtenBytes, largestBytes } = await rebuilt(bytes, good.sources)
  expect(writtenBytes).toBeLessThanOrEqual(resultBytes)
  expect(largestBytes).toBeLessThanOrEqual(largestBytesMax)
  if (problem === undefined) {
    expect(bundle.equals(good.bundle)).toBe(true)
    return true
  }
  expect(problem).toBeInstanceOf(DeltaError)
  expect(problem.message).toMatch(/^\S.{5,}/)
  return false
}

test('with bits turned over, cut, doubled and mixed', async () => {
  const random = seeded(1)
  const upTo = (count: number) => Math.floor(random() * count)
  let led = 0
  for (let n = 0; n < 3000; n++) {
    let bytes = Buffer.from(good.bytes)
    // What steers is in the first kilobytes; the rest is data of patches.
    const at = upTo(random() < 0.5 ? 1200 : bytes.byteLength)
    switch (n % 6) {
      case 0:
        bytes[at] = bytes[at]! ^ (1 << upTo(8))
        break
      case 1:
        bytes[at] = upTo(256)
        break
      case 2:
        bytes.writeUInt32LE(
          [0, 1, 0x7fffffff, 0x80000000, 0xffffffff][upTo(5)]!,
          Math.min(at, bytes.byteLength - 4),
        )
        break
      case 3:
        bytes = bytes.subarray(0, at)
        break
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(upTo(bytes.byteLength))])
        break
      case 5:
        bytes.copy(bytes, at, upTo(bytes.byteLength), bytes.byteLength)
        break
    }
    // Sizes may grow by a turned bit; the hash then refuses, and nothing beyond the limits is written.
    if (await requireHarmless(bytes, deltaLimits.bytesMax)) led += 1
  }
  // Some changes are of no account: in the hash of a source, which the device compares, or behind the end.
  expect(led).toBeLessThan(600)
}, 120_000)

test('with members of the header replaced by anything', async () => {
  const strange: readonly unknown[] = [
    ...[
      undefined,
      null,
      true,
      0,
      -1,
      0.5,
      1,
      4096,
      8192,
      2 ** 30,
      2 ** 31,
      2 ** 53,
      Number.MAX_VALUE,
      '',
      '../x',
    ],
    ...[
      [],
      {},
      [[]],
      [null],
      'boot',
      'rootfs',
      'plain',
      'packed',
      'ab'.repeat(32),
      { length: 3 },
      Array(100).fill({}),
    ],
  ]
  const text = JSON.stringify(headerOf(good.bytes))
  const places = pathsOf(JSON.parse(text))
  expect(places.length).toBeGreaterThan(20)
  for (const place of places) {
    for (const value of strange) {
      const header = JSON.parse(text) as Record<string, unknown>
      const parent = place.slice(0, -1).reduce((at, name) => at[name] as Record<string, unknown>, header)
      if (value === undefined) delete parent[place.at(-1)!]
      else parent[place.at(-1)!] = value
      await requireHarmless(withHeader(good.bytes, JSON.stringify(header)), deltaLimits.bytesMax)
    }
  }
  for (const other of ['', '{', 'null', '[]', '7', '['.repeat(8000)]) {
    expect(await requireHarmless(withHeader(good.bytes, other))).toBe(false)
  }
}, 120_000)

test('with steps and frames dropped, doubled, exchanged and stretched', async () => {
  const random = seeded(3)
  const upTo = (count: number) => Math.floor(random() * count)
  const anyNumber = () => [0, 1, 5, 4096, 65_536, upTo(400_000), 2 ** 31, 2 ** 32 - 1][upTo(8)]!
  let led = 0
  for (let n = 0; n < 2000; n++) {
    const steps: DeltaStep[] = [...good.steps]
    const frames: DeltaFrame[] = [...good.frames]
    for (let changes = 1 + upTo(3); changes > 0; changes--) {
      const [a, b, f] = [upTo(steps.length), upTo(steps.length), upTo(frames.length)]
      switch (upTo(7)) {
        case 0:
          steps.splice(a, 1)
          break
        case 1:
          steps.splice(a, 0, steps[b]!)
          break
        case 2:
          ;[steps[a], steps[b]] = [steps[b]!, steps[a]!]
          break
        case 3:
          steps[a] = { kind: 'copy', source: upTo(4), offsetBytes: anyNumber(), lengthBytes: anyNumber() }
          break
        case 4:
          frames[f] = { kind: (['as-is', 'packed', 'left-out'] as const)[upTo(3)]!, lengthBytes: anyNumber() }
          break
        case 5:
          steps[a] = { kind: 'tree', tree: upTo(4) }
          break
        case 6:
          steps.splice(a, upTo(2), { kind: 'repack', repacking: upTo(3), lengthBytes: anyNumber() })
          break
      }
      if (steps.length === 0) break
    }
    const header: DeltaHeader = {
      ...good.header,
      plainBytes:
        random() < 0.7
          ? frames.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
          : good.header.plainBytes,
    }
    if (await requireHarmless(render(header, frames, steps))) led += 1
  }
  expect(led).toBeLessThan(100)
}, 120_000)

test('the good one is made: what is refused here is refused for a reason', async () => {
  expect(await requireHarmless(good.bytes)).toBe(true)
})

function headerOf(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString('utf8', 20, 20 + bytes.readUInt32LE(12)))
}

function withHeader(bytes: Buffer, text: string): Buffer {
  const header = Buffer.from(text)
  const start = Buffer.from(bytes.subarray(0, 20))
  start.writeUInt32LE(header.byteLength, 12)
  return Buffer.concat([start, header, bytes.subarray(20 + bytes.readUInt32LE(12))])
}

function pathsOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return []
  return Object.keys(value).flatMap((name) => [
    [...path, name],
    ...pathsOf((value as Record<string, unknown>)[name], [...path, name]),
  ])
}
