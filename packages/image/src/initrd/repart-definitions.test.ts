import { MiB, partitions } from '@atomixos/config'
import { describe, expect, test } from 'vitest'
import { repartDefinitions } from './repart-definitions.ts'

describe('repartDefinitions', () => {
  const definitions = repartDefinitions(partitions)

  test('are in the order of the partitions, since repart matches by type and order', () => {
    expect(definitions.map(({ fileName }) => fileName)).toEqual([
      '10-boot-a.conf',
      '20-rootfs-a.conf',
      '30-boot-b.conf',
      '40-rootfs-b.conf',
      '50-data.conf',
    ])
  })

  test('give the offsets of the layout: each partition begins where the one before ends', () => {
    let offset = partitions[0]!.offsetBytes
    for (const [index, { text }] of definitions.entries()) {
      const layout = partitions[index]!
      expect(layout.offsetBytes).toBe(offset)
      expect(text).toContain(`\nType=${layout.typeId}\nLabel=${layout.label}\n`)
      const size = Number(/^SizeMinBytes=(\d+)$/m.exec(text)?.[1])
      if (layout.sizeBytes === undefined) {
        expect(text).not.toContain('SizeMaxBytes')
      } else {
        expect(size).toBe(layout.sizeBytes)
        expect(text).toContain(`SizeMaxBytes=${layout.sizeBytes}`)
      }
      offset += size
    }
  })

  test('only /data is formatted', () => {
    const formatted = definitions.filter(({ text }) => text.includes('Format='))
    expect(formatted.map(({ fileName }) => fileName)).toEqual(['50-data.conf'])
    expect(formatted[0]!.text).toContain('Format=f2fs\n')
  })

  test('only /data is lost in a factory reset', () => {
    const lost = definitions.filter(({ text }) => text.includes('FactoryReset=yes\n'))
    expect(lost.map(({ fileName }) => fileName)).toEqual(['50-data.conf'])
  })

  test('no partition that is to be made fits in front of the first one, where U-Boot is', () => {
    for (const [index, { text }] of definitions.entries()) {
      if (partitions[index]!.made !== 'first-boot') continue
      expect(Number(/^SizeMinBytes=(\d+)$/m.exec(text)?.[1])).toBeGreaterThan(16 * MiB)
    }
  })
})
