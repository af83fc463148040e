import { describe, expect, test } from 'vitest'
import { compilePattern } from './patterns.ts'

describe('patterns', () => {
  test.each([
    ['/usr/share/doc/**', '/usr/share/doc', true],
    ['/usr/share/doc/**', '/usr/share/doc/bash/README', true],
    ['/usr/share/doc/**', '/usr/share/docs', false],
    ['/usr/bin/*', '/usr/bin/ls', true],
    ['/usr/bin/*', '/usr/bin/x/ls', false],
    ['/usr/lib/**/x.so', '/usr/lib/a/b/x.so', true],
    ['/usr/bin/{ls,cp}', '/usr/bin/cp', true],
    ['/usr/bin/{ls,cp}', '/usr/bin/c', false],
    ['/usr/bin/[', '/usr/bin/[', true],
    ['/etc/a.b', '/etc/axb', false],
    ['/a/{b,c/**}', '/a/c/d', true],
    ['/**', '/anything/at/all', true],
  ])('%s matches %s: %s', (pattern, path, expected) => {
    expect(compilePattern(pattern).test(path)).toBe(expected)
  })
})
