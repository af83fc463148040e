import { closeSync, openSync, readSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { keyringSection } from '@atomixos/config'
import { verityBlockBytes } from '@atomixos/config/delta/index.ts'
import { UserError } from '../errors.ts'
import { ProgramFailed } from '../tools/process.ts'
import type { ToolMount, ToolTree } from '../tools/tools.ts'
import { hashTree } from '../verity/verity.ts'
import type { BundleVerity } from './manifest.ts'
import type { BundleParts } from './read.ts'

export type Judgement =
  | { readonly accepted: true }
  | {
      readonly accepted: false
      /** RAUC's own words. */
      readonly reason: string
    }

/** Asks RAUC, with a device's settings, whether a device with this keyring takes the signature. */
export async function judgeSignature(
  tools: ToolTree,
  options: { readonly bundlePath: string; readonly keyringPath: string },
): Promise<Judgement> {
  return judgement(await runRauc(tools, { ...options, argv: [...rauc, 'info', '/bundle'] }))
}

/** The same, and what RAUC says of the file then, as JSON in the form that a device reads. */
export async function readRaucInfo(
  tools: ToolTree,
  options: { readonly bundlePath: string; readonly keyringPath: string },
): Promise<Said> {
  return runRauc(tools, { ...options, argv: [...rauc, 'info', '--output-format=json-2', '/bundle'] })
}

/**
 * The same, and RAUC unpacks all of it into `outDir`, which must not be there. Takes a copy in memory: RAUC wants a
 * file of its own, on a file system that it can name.
 */
export async function extractBundle(
  tools: ToolTree,
  options: { readonly bundlePath: string; readonly keyringPath: string; readonly outDir: string },
): Promise<Judgement> {
  const script = 'cp /bundle /tmp/bundle && exec "$@"'
  const argv = ['/usr/bin/sh', '-c', script, 'sh', ...rauc, 'extract', '/tmp/bundle'] as const
  const mounts = [{ hostPath: dirname(options.outDir), guestPath: '/out', writable: true }]
  const said = await runRauc(tools, {
    ...options,
    argv: [...argv, `/out/${basename(options.outDir)}`],
    mounts,
  })
  return judgement(said)
}

type Said =
  | { readonly accepted: true; readonly stdout: string }
  | Extract<Judgement, { readonly accepted: false }>

function judgement(said: Said): Judgement {
  return said.accepted ? { accepted: true } : said
}

const rauc = ['/usr/bin/rauc', '--conf=/judge/system.conf'] as const

async function runRauc(
  tools: ToolTree,
  options: {
    readonly bundlePath: string
    readonly keyringPath: string
    readonly argv: readonly [string, ...string[]]
    readonly mounts?: readonly ToolMount[]
  },
): Promise<Said> {
  const dir = await mkdtemp(join(tmpdir(), 'atomixos-rauc-'))
  try {
    await writeFile(join(dir, 'system.conf'), renderJudge('/keyring.pem'))
    const { stdout } = await tools.run({
      argv: options.argv,
      purpose: 'to ask RAUC about the bundle',
      mounts: [
        { hostPath: dir, guestPath: '/judge', writable: false },
        { hostPath: options.keyringPath, guestPath: '/keyring.pem', writable: false },
        { hostPath: options.bundlePath, guestPath: '/bundle', writable: false },
        ...(options.mounts ?? []),
      ],
      timeoutMs: 300_000,
    })
    return { accepted: true, stdout }
  } catch (error) {
    if (!(error instanceof ProgramFailed) || error.exitCodeOfProgram !== 1) throw error
    return { accepted: false, reason: parseRaucReason(error.stderr) }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function renderJudge(keyringPath: string): string {
  return [
    '[system]',
    'compatible=any',
    'bootloader=noop',
    'bundle-formats=verity',
    '',
    ...keyringSection(keyringPath),
    '',
  ].join('\n')
}

/** The last line that is no trace. */
function parseRaucReason(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '')
  return lines.at(-1)?.replace(/^\w+ failed: /, '') ?? 'no reason was given'
}

/**
 * Every byte of the payload against the manifest's hash, which the signature covers. A device does the same while it
 * installs. Throws UserError (exit code 1).
 */
export function verifyPayload(bundle: BundleParts, verity: BundleVerity): void {
  const refuse = (what: string) =>
    new UserError(`${bundle.path}: ${what}`, { hint: 'copy or download the bundle again' })
  const dataBytes = bundle.payloadBytes - verity.treeBytes
  if (dataBytes <= verityBlockBytes || dataBytes % verityBlockBytes !== 0) {
    throw refuse('the sizes in its manifest do not fit the file')
  }
  const file = openSync(bundle.path, 'r')
  try {
    const { rootHash, tree } = hashTree(file, dataBytes, Buffer.from(verity.salt, 'hex'))
    const inFile = Buffer.alloc(verity.treeBytes)
    readSync(file, inFile, 0, inFile.byteLength, dataBytes)
    if (rootHash !== verity.rootHash) throw refuse('its contents are not what was signed')
    if (!inFile.equals(tree)) throw refuse('its hash tree is damaged')
  } finally {
    closeSync(file)
  }
}
