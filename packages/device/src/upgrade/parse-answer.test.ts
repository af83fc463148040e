import { describe, expect, test } from 'vitest'
import { parseAnswer } from './parse-answer.ts'

const serverUrl = 'https://updates.example:8443/fleet'

function parsed(members: Record<string, unknown>): unknown {
  const body = JSON.stringify({ version: '1.2.3', bundle_url: 'b.raucb', ...members })
  const result = parseAnswer(body, serverUrl)
  return 'answer' in result ? result.answer : result.problems
}

test.each([
  ['b.raucb', 'https://updates.example:8443/fleet/b.raucb'],
  ['/b.raucb?x=1#part', 'https://updates.example:8443/b.raucb?x=1'],
  ['//cdn.example/b', 'https://cdn.example/b'],
  ['https://cdn.example/b', 'https://cdn.example/b'],
])('bundle_url %s is %s', (bundle_url, bundleUrl) => {
  expect(parsed({ bundle_url, extra: { any: 1 } })).toEqual({ version: '1.2.3', bundleUrl })
})

describe('refuses', () => {
  test.each<[Record<string, unknown>, string]>([
    [{ version: undefined }, 'version is missing'],
    [{ version: 7 }, 'version is number, not text'],
    [{ version: null }, 'version is null, not text'],
    [{ version: ['1.2.3'] }, 'version is object, not text'],
    [{ version: '' }, 'version is empty'],
    [{ version: 'v1.2.3' }, 'version "v1.2.3" is not a semantic version such as 1.4.2'],
    [{ version: '1.2' }, 'version "1.2" is not a semantic version such as 1.4.2'],
    [{ version: '1.02.3' }, 'version "1.02.3" is not a semantic version such as 1.4.2'],
    [{ version: '1.2.3\n' }, 'version has control characters, spaces or letters beyond ASCII'],
    [{ version: '1'.repeat(1000) }, 'version has 1000 characters, more than 128'],
    [{ bundle_url: 'x'.repeat(5000) }, 'bundle_url has 5000 characters, more than 2048'],
    [{ bundle_url: 'http://updates.example/b' }, 'bundle_url is http, only https is taken'],
    [{ bundle_url: 'file:///etc/shadow' }, 'bundle_url is file, only https is taken'],
    [{ bundle_url: 'https://' }, 'bundle_url "https://" is not a URL'],
    [{ bundle_url: 'https://a:b@updates.example/b' }, 'bundle_url holds credentials'],
    [{ bundle_url: '/b\u001b[2J' }, 'bundle_url has control characters, spaces or letters beyond ASCII'],
  ])('%j', (members, problem) => {
    expect(parsed(members)).toEqual([problem])
  })

  test('everything at once', () => {
    expect(parseAnswer('{}', serverUrl)).toEqual({
      problems: ['version is missing', 'bundle_url is missing'],
    })
    expect(parseAnswer('{"__proto__":{"version":"1.2.3"}}', serverUrl)).toHaveProperty('problems')
  })
})
