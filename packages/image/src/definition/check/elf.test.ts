import { open } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { readElf } from './elf.ts'
import { makeElf } from './test-elf.ts'

const reading = (bytes: Uint8Array) => async (offset: number, size: number) =>
  bytes.subarray(offset, offset + size)

test('interpreter, libraries and search paths of an ELF file', async () => {
  const bytes = makeElf({
    interpreter: '/lib/ld.so.1',
    needed: ['libc.so.6', 'libm.so.6'],
    runpath: '$ORIGIN:/opt',
  })
  expect(await readElf(reading(bytes))).toEqual({
    machine: 183,
    interpreter: '/lib/ld.so.1',
    needed: ['libc.so.6', 'libm.so.6'],
    runpath: ['$ORIGIN', '/opt'],
  })
})

test('a file of another kind is none', async () => {
  expect(await readElf(reading(Buffer.from('#!/bin/sh\n')))).toBeUndefined()
  expect(await readElf(reading(Buffer.alloc(200)))).toBeUndefined()
})

test('a real program: the Node that runs this', async () => {
  await using file = await open(process.execPath)
  const elf = await readElf(async (offset, size) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, offset)
    return buffer.subarray(0, bytesRead)
  })
  expect(elf?.interpreter).toMatch(/^\/lib.*ld-linux/)
  expect(elf?.needed).toContain('libc.so.6')
})
