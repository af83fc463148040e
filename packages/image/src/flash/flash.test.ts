import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB } from '@atomixos/config'
import { expect, test } from 'vitest'
import { encodeGpt } from '../disk/gpt.ts'
import { scratchDir } from '../tools/test-inputs.ts'
import { findTarget } from './find-target.ts'
import { flash } from './flash.ts'
import { readFlashImage } from './flash-image.ts'
import { listeningReporter } from './test-devices.ts'
import { testGpt } from './test-image.ts'

test('a device that took the place of the one that was shown is left alone', async () => {
  await using dir = await scratchDir()
  const { signal } = new AbortController()
  const gpt = testGpt(1, 1)
  const { primary, backup } = encodeGpt(gpt)
  const image = join(dir.path, 'image.img')
  await writeFile(
    image,
    Buffer.concat([primary, Buffer.alloc(gpt.diskBytes - primary.length - backup.length), backup]),
  )
  const card = join(dir.path, 'card')
  await writeFile(card, Buffer.alloc(gpt.diskBytes, 'shown '))
  const plan = {
    ...{ image: await readFlashImage(image, signal), disk: await findTarget(card) },
    ...{ seed: undefined, claimCode: undefined },
  }

  const other = Buffer.alloc(gpt.diskBytes + MiB, 'another ')
  await writeFile(card, other)
  await expect(flash(plan, { reporter: listeningReporter(), signal })).rejects.toMatchObject({
    message: `${card} is another device now than the one that was shown. It was not changed.`,
  })
  expect((await readFile(card)).equals(other)).toBe(true)

  await writeFile(card, Buffer.alloc(gpt.diskBytes, 'shown '))
  await flash({ ...plan, disk: await findTarget(card) }, { reporter: listeningReporter(), signal })
  expect((await readFile(card)).equals(await readFile(image))).toBe(true)
})
