import { existsSync } from 'node:fs'
import { chmod, copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import { filePath } from './links.ts'
import type { Site } from './site.ts'

/** What tells a folder with a site from one with something else. */
const markName = 'search-index.js'

/** Puts the site into `outDir`, in place of an older one there. What is in no site of ours is left alone. Throws UserError. */
export async function writeSite(
  site: Site,
  places: { readonly rootDir: string; readonly outDir: string },
): Promise<void> {
  const outDir = resolve(places.outDir)
  await requireReplaceable(outDir)
  await mkdir(dirname(outDir), { recursive: true })
  const unfinished = await mkdtemp(join(dirname(outDir), `.${basename(outDir)}.new-`))
  try {
    for (const [name, content] of site.files) await writeFile(join(unfinished, name), content)
    for (const path of site.copies) {
      const to = join(unfinished, filePath(path))
      await mkdir(dirname(to), { recursive: true })
      await copyFile(join(places.rootDir, path), to)
    }
    // A web server reads it as somebody else.
    await chmod(unfinished, 0o755)
    await rm(outDir, { recursive: true, force: true })
    await rename(unfinished, outDir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

async function requireReplaceable(outDir: string): Promise<void> {
  if (!existsSync(outDir)) return
  const names = await readdir(outDir).catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${outDir} is no folder that can be read: ${cause.code}`, {
      hint: 'name another with --out',
      exitCode: 2,
      cause,
    })
  })
  if (names.length === 0 || names.includes(markName)) return
  throw new UserError(`${outDir} holds something else than a documentation site; nothing was changed`, {
    hint: 'name a new or empty folder with --out',
    exitCode: 2,
  })
}
