import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openTestInputs, scratchDir } from '../tools/test-inputs.ts'
import { cell, nodeAt, parseDeviceTree, text } from './device-tree.ts'

const source = `/dts-v1/;
/ {
  compatible = "pine64,rock64", "rockchip,rk3328";
  nothing;
  soc { odd = [01 02 03]; spi@ff190000 { reg = <0xff190000 0x1000>; flash@0 { }; }; };
  chosen { stdout-path = "serial2:1500000n8"; };
};
`

describe('parseDeviceTree', () => {
  test('reads what the compiler wrote', async () => {
    await using dir = await scratchDir()
    const tools = await (await openTestInputs()).toolTree('tools-firmware')
    await writeFile(join(dir.path, 'tree.dts'), source)
    await tools.run({
      argv: ['/usr/bin/dtc', '-O', 'dtb', '-o', '/scratch/tree.dtb', '/scratch/tree.dts'],
      purpose: 'the test',
      mounts: [{ hostPath: dir.path, guestPath: '/scratch', writable: true }],
      timeoutMs: 30_000,
    })
    const blob = await readFile(join(dir.path, 'tree.dtb'))
    const { root, sizeBytes } = parseDeviceTree(blob)
    expect(sizeBytes).toBe(blob.length)
    expect(text(root, 'compatible')).toBe('pine64,rock64')
    expect(root.properties.get('nothing')).toHaveLength(0)
    expect(cell(nodeAt(root, '/soc/spi@ff190000'), 'reg')).toBe(0xff190000)
    expect(nodeAt(root, '/soc')?.properties.get('odd')).toEqual(Buffer.from([1, 2, 3]))
    expect(nodeAt(root, '/soc/spi@ff190000/flash@0')?.name).toBe('flash@0')
    expect(text(nodeAt(root, 'chosen'), 'stdout-path')).toBe('serial2:1500000n8')
    expect(nodeAt(root, '/soc/usb')).toBeUndefined()

    expect(() => parseDeviceTree(blob.subarray(0, 100))).toThrow('cut off')
  })

  test('refuses other bytes', () => {
    expect(() => parseDeviceTree(Buffer.alloc(64))).toThrow('not a flattened device tree')
  })
})
