import { describe, expect, test } from 'vitest'
import { mergeConfig, parseConfig, unmetLines } from './kernel-config.ts'

const defconfig = 'CONFIG_ARM=y\nCONFIG_NET=y\nCONFIG_DELAY=2\n'
const fragment = '# Why: nothing needs it.\n# CONFIG_NET is not set\nCONFIG_DELAY=1\nCONFIG_PROMPT="a = b"\n'

describe('mergeConfig', () => {
  test('names each symbol once, as the last fragment wants it', () => {
    expect(mergeConfig(defconfig, [fragment, 'CONFIG_DELAY=3'])).toBe(
      'CONFIG_ARM=y\n# CONFIG_NET is not set\nCONFIG_DELAY=3\nCONFIG_PROMPT="a = b"\n',
    )
  })
})

describe('unmetLines', () => {
  test('what is not mentioned is off', () => {
    expect(unmetLines('CONFIG_ARM=y\nCONFIG_DELAY=1\nCONFIG_PROMPT="a = b"\n', [fragment])).toEqual([])
  })
  test('tells what was dropped, what was switched on by something else, and what has another value', () => {
    expect(unmetLines('CONFIG_NET=y\nCONFIG_DELAY=2\n', [fragment])).toEqual([
      '# CONFIG_NET is not set',
      'CONFIG_DELAY=1',
      'CONFIG_PROMPT="a = b"',
    ])
  })
})

test('comments are not lines', () => {
  expect([...parseConfig('# CONFIG_X matters\n#CONFIG_Y=y\n').keys()]).toEqual([])
})
