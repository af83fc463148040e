import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import { UserError } from '../errors.ts'
import type { Lock } from './lock.ts'

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const poolPath = z
  .string()
  .regex(/^pool\/[\w.+~%/-]+$/, 'must be a path below pool/')
  .refine((path) => !path.split('/').includes('..'), 'must not lead out of the archive')
const archive = z.enum(['debian', 'debian-security'])
const file = z.strictObject({ archive, path: poolPath, sizeBytes: z.int().positive(), sha256 })
// In the order in which they are written: reading and writing a lock changes nothing.
const locked = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.+-]+$/, 'must be a Debian package name'),
  version: z.string().min(1),
  architecture: z.string().min(1),
  source: z.string().min(1),
  sourceVersion: z.string().min(1),
  ...file.shape,
})

const schema = z.strictObject({
  version: z.literal(1),
  series: z.string().regex(/^[a-z]+$/),
  sourceDateEpoch: z.int().positive(),
  archives: z.array(
    z.strictObject({
      archive,
      suite: z.string().min(1),
      releaseSha256: sha256,
      releaseDate: z.iso.datetime(),
    }),
  ),
  targets: z.record(
    z.string(),
    z.strictObject({
      architecture: z.string().min(1),
      requested: z.array(z.string().min(1)),
      // Locks that do not know the word omit nothing.
      omitted: z.array(z.string().min(1)).default([]),
      packages: z.array(locked),
    }),
  ),
  sources: z.record(z.string(), z.strictObject({ version: z.string().min(1), files: z.array(file).min(1) })),
  npm: z.array(
    z.strictObject({
      name: z.string().min(1),
      version: z.string().min(1),
      integrity: z.string().regex(/^sha512-[A-Za-z0-9+/]+=*$/),
    }),
  ),
})

/** Throws UserError when the file is missing, is no lock or has been damaged by hand. */
export async function readLock(path: string): Promise<Lock> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new UserError(`${basename(path)} cannot be read: ${(error as Error).message}`, {
      hint: 'take it from version control; without it nothing says which tools may be trusted',
      exitCode: 2,
      cause: error,
    })
  }
  return parseLock(text, basename(path))
}

export function parseLock(text: string, name: string): Lock {
  const hint = 'take the file from version control again, or run `./atomixos lock`'
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    throw new UserError(`${name} is not JSON: ${(error as Error).message}`, {
      hint,
      exitCode: 2,
      cause: error,
    })
  }
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const problems = result.error.issues
    .slice(0, 10)
    .map(({ path, message }) => `  ${path.join('.')}: ${message}`)
  throw new UserError(`${name} is not a lock of this version of AtomixOS:\n${problems.join('\n')}`, {
    hint,
    exitCode: 2,
  })
}
