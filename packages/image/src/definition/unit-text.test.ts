import { describe, expect, test } from 'vitest'
import { escapePath, parseUnit, renderUnit, templateOf } from './unit-text.ts'

test('a unit is written in the order given; lists repeat, booleans are words', () => {
  expect(
    renderUnit({
      Unit: { Description: 'Names for the LAN', After: ['a.service', 'b.service'] },
      Service: { ExecStart: ['', '/usr/bin/dns --port 53'], PrivateTmp: true, RestartSec: 5 },
    }),
  ).toBe(`[Unit]
Description=Names for the LAN
After=a.service
After=b.service

[Service]
ExecStart=
ExecStart=/usr/bin/dns --port 53
PrivateTmp=yes
RestartSec=5
`)
})

test('what systemd reads is what we read: comments, continued lines, repeated sections', () => {
  const unit = parseUnit(`# comment
[Service]
ExecStart=/usr/bin/a \\
  --one \\
; a comment inside
  --two
 Environment = X=1
[Unit]
After=a.service
[Service]
ExecStart=/usr/bin/b
`)
  expect(unit.get('Service')?.get('ExecStart')).toEqual(['/usr/bin/a    --one    --two', '/usr/bin/b'])
  expect(unit.get('Service')?.get('Environment')).toEqual(['X=1'])
  expect(unit.get('Unit')?.get('After')).toEqual(['a.service'])
})

describe('names', () => {
  test.each([
    ['/', '-'],
    ['/data', 'data'],
    ['/srv//my-data/', 'srv-my\\x2ddata'],
    ['/.hidden/ä', '\\x2ehidden-\\xc3\\xa4'],
  ])('mount point %s is unit %s', (path, name) => expect(escapePath(path)).toBe(name))

  test.each([
    ['container@web.service', 'container@.service'],
    ['container@.service', undefined],
    ['ssh.service', undefined],
  ])('template of %s is %s', (name, template) => expect(templateOf(name)).toBe(template))
})
