import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Inputs } from '@atomixos/image/inputs.ts'
import { rootOptions } from '@atomixos/image/tools/sandbox.ts'
import { type Measured, measure } from './measure.ts'

export interface PeerOptions {
  readonly inputs: Inputs
  /** Where `downloads/` with the .deb files is. */
  readonly cacheDir: string
  readonly workDir: string
  readonly level: number
}

/** What bash runs in the peer's tree. */
type PeerScript = 'peer-build.sh' | 'peer-floor.sh'

/**
 * mmdebstrap (variant extract: no maintainer scripts, as with us) and mksquashfs, joined by a pipe so that both work at
 * the same time. Needs root: the packages have files of several owners.
 */
export async function preparePeer({ inputs, cacheDir, workDir, level }: PeerOptions) {
  const [tools, peerTools] = await Promise.all([inputs.toolTree('tools'), inputs.toolTree('tools-bench')])
  const repoDir = join(workDir, 'repo')
  const outDir = join(workDir, 'peer')
  const scriptDir = join(workDir, 'script')
  for (const dir of [join(repoDir, 'downloads'), outDir, scriptDir]) await mkdir(dir, { recursive: true })
  await writeFile(join(repoDir, 'Packages'), await debianIndex(inputs))
  for (const script of ['peer-build.sh', 'peer-floor.sh'] satisfies PeerScript[]) {
    await copyFile(join(import.meta.dirname, script), join(scriptDir, script))
  }
  // apt reads accounts; the packages' scripts, which would make these files, have not run.
  await writeFile(join(scriptDir, 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  await writeFile(join(scriptDir, 'group'), 'root:x:0:\n')
  const names = inputs.lock.targets.rootfs!.packages.map(({ name }) => name)
  const argv = [
    ...tools.unconfined().loader,
    join(tools.dir, 'usr/bin/bwrap'),
    ...['--unshare-net', '--unshare-pid', '--die-with-parent'],
    ...rootOptions(peerTools.dir),
    ...['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--tmpfs', '/tmp', '--tmpfs', '/var/tmp'],
    ...['--ro-bind', join(scriptDir, 'passwd'), '/etc/passwd'],
    ...['--ro-bind', join(scriptDir, 'group'), '/etc/group'],
    ...['--ro-bind', repoDir, '/repo'],
    ...['--ro-bind', join(cacheDir, 'downloads'), '/repo/downloads'],
    ...['--ro-bind', scriptDir, '/script'],
    ...['--bind', outDir, '/out', '--clearenv', '--'],
  ]
  const run = async (script: PeerScript, ...args: readonly string[]): Promise<Measured> => {
    const { wallSeconds } = await measure([...argv, '/usr/bin/bash', `/script/${script}`, ...args])
    return { wallSeconds, cpuSeconds: parseTimes(await readFile(join(outDir, 'times'), 'utf8')) }
  }
  return {
    imagePath: join(outDir, 'rootfs.squashfs'),
    build: () => run('peer-build.sh', String(level), String(inputs.lock.sourceDateEpoch), names.join(',')),
    /** The same packages decompressed, nothing else: what every build from .deb files does. */
    decompress: () => run('peer-floor.sh'),
  }
}

/** The Packages file of a repository that holds just what is locked. */
async function debianIndex(inputs: Inputs): Promise<string> {
  const stanzas: string[] = []
  for (const { name, sha256, sizeBytes } of inputs.lock.targets.rootfs!.packages) {
    const control = (await inputs.packageControl('rootfs', name)).get('control')!
    // What is locked is what comes: the lock does without some of the dependencies.
    const fields = control.replace(/^(?:Pre-)?Depends:.*\n(?:[ \t].*\n)*/gm, '')
    stanzas.push(
      `${fields.trimEnd()}\nFilename: ./downloads/${sha256}\nSize: ${sizeBytes}\nSHA256: ${sha256}\n`,
    )
  }
  return stanzas.join('\n')
}

/** The shell's own and its children's user and system times, as its `times` prints them: `1m2.345s`. */
function parseTimes(text: string): number {
  return [...text.matchAll(/(\d+)m([\d.]+)s/g)]
    .map(([, minutes, seconds]) => Number(minutes) * 60 + Number(seconds))
    .reduce((sum, seconds) => sum + seconds, 0)
}
