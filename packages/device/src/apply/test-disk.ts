import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ConfigFolders } from './config-folders.ts'
import { type Disk, realDisk } from './disk.ts'
import type { OwnerIds } from './owners.ts'

/** For tests: everything belongs to whoever runs them. */
export const ownOwnerIds: OwnerIds = () => ({ uid: process.getuid!(), gid: process.getgid!() })

/** For tests: folders in an empty one of their own. */
export function testFolders(): ConfigFolders & { readonly data: string } {
  const data = mkdtempSync(join(tmpdir(), 'atomixos-test-'))
  onTestFinished(() => rmSync(data, { recursive: true, force: true }))
  const at = (name: string) => join(data, name)
  return {
    data,
    active: at('config'),
    candidate: at('config-candidate'),
    rollback: at('config-rollback'),
    dropped: at('config-dropped'),
  }
}

export class PowerCut extends Error {
  override readonly name = 'PowerCut'
}

/**
 * The real disk, until its call of that number (from 1): that one and all after it do nothing, as nothing does without power.
 * A write that is cut leaves its half. Without waiting for the machine's other disks: what survives is the kernel's matter here.
 */
export function diskWithPowerFor(calls: number): { readonly disk: Disk; readonly calls: () => number } {
  let count = 0
  const disk = { ...realDisk, syncAll: () => {} } as unknown as Record<
    string,
    (...args: unknown[]) => unknown
  >
  const wrapped = Object.fromEntries(
    Object.entries(disk).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        count += 1
        if (count < calls) return call(...args)
        if (count === calls && name === 'write') {
          const [file, bytes] = args as [number, Uint8Array]
          realDisk.write(file, bytes.subarray(0, bytes.length >> 1))
        }
        if (name === 'close') realDisk.close(args[0] as number)
        throw new PowerCut(`at call ${count}: ${name}`)
      },
    ]),
  )
  return { disk: wrapped as unknown as Disk, calls: () => count }
}

/** A tree as text: each path with mode and content. */
export function treeText(folder: string): string {
  const lines: string[] = []
  const visit = (path: string, name: string) => {
    const stat = lstatSync(path)
    const mode = (stat.mode & 0o7777).toString(8)
    lines.push(`${name} ${mode} ${stat.isDirectory() ? '/' : JSON.stringify(readFileSync(path, 'utf8'))}`)
    if (!stat.isDirectory()) return
    for (const entry of readdirSync(path).sort()) visit(join(path, entry), `${name}/${entry}`)
  }
  visit(folder, '.')
  return lines.join('\n')
}
