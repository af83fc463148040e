import { describe, expect, test } from 'vitest'
import { imageOf, isArchiveName, isNamed, namesInArchive } from './image-names.ts'

describe('images', () => {
  test.each([
    ['[Container]\nImage=localhost/app:1\n', 'localhost/app:1'],
    ['[Container]\nImage=web.build\n', undefined],
  ])('%j names %s', (text, image) => {
    expect(imageOf({ unit: 'a.container', text })).toBe(image)
    expect(imageOf({ unit: 'a.volume', text })).toBeUndefined()
  })

  test.each([
    ['localhost/app:1', 'localhost/app:1', true],
    ['app:1', 'localhost/app:1', true],
    ['localhost/app', 'localhost/app:latest', true],
    ['localhost:5000/app', 'localhost:5000/app:latest', true],
    ['app:1', 'localhost/myapp:1', false],
    ['docker.io/library/nginx:1', 'nginx:1', true],
    ['docker.io/library/nginx', 'nginx:latest', true],
    ['docker.io/me/app:1', 'me/app:1', true],
    ['docker.io/library/app:1', 'localhost/app:1', false],
    ['docker.io/quay.io/app:1', 'quay.io/app:1', false],
    ['docker.io/host:5000/app:1', 'host:5000/app:1', false],
    ['localhost/app:1', 'localhost/app:2', false],
  ])('%s is what %s is called: %s', (image, name, is) => {
    expect(isNamed(image, [name])).toBe(is)
  })

  test('names in both kinds of archives', () => {
    const docker =
      '[{"Config":"a.json","RepoTags":["localhost/app:1","localhost/app:latest"],"Layers":["[{}]"]}]'
    const oci =
      '{"schemaVersion":2,"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"a/b:2"}},{}]}'
    expect(namesInArchive(docker)).toEqual(['localhost/app:1', 'localhost/app:latest'])
    expect(namesInArchive(`${oci}\n`)).toEqual(['a/b:2'])
    expect(namesInArchive(docker + oci)).toEqual(['localhost/app:1', 'localhost/app:latest', 'a/b:2'])
    expect(namesInArchive(oci + docker)).toContain('localhost/app:1')
  })

  test.each(['', '{', '[[', 'null', '"x"', '[null]', '{"manifests":[null]}', '[{"RepoTags":[7]}]'])(
    '%j names nothing',
    (text) => {
      expect(namesInArchive(text)).toEqual([])
    },
  )

  test.each([
    ['web.tar', true],
    ['caddy_2.6-arm64.tar.zst', true],
    ['.hidden', false],
    ['with space.tar', false],
    ['-option', false],
    ['a\nload rootful x', false],
  ])('%j may be an archive: %s', (name, is) => {
    expect(isArchiveName(name)).toBe(is)
  })
})
