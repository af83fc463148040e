import { relative } from 'node:path'
import { type PartName, partNames } from '@atomixos/image/build/export-board.ts'
import { Argument, type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { build, buildPart } from '../pipeline.ts'
import { addReleaseOptions } from '../release-options.ts'
import { type ReleaseOptions, requireAll } from '../signing.ts'

interface BuildCommandOptions extends ReleaseOptions {
  readonly board: string
  readonly level?: number
  readonly frozen?: boolean
  readonly json?: boolean
}

export function addBuild(program: Command, context: CommandContext): void {
  const command = program
    .command('build')
    .description('make the flashable image and everything beside it, or one artifact')
    .addArgument(new Argument('[artifact]', 'only this one and what it is made of').choices(partNames))
    .option('--board <NAME>', 'which board', 'rock64')
    .option(
      '--level <N>',
      'zstd level of the root file system, 1 to 22: 3 is quick; left out: as for a release',
      parseLevel,
    )
    .option('--frozen', 'refuse when a locked package is gone, instead of resolving that target again')
    .option('--json', 'the manifest (for one artifact: its entry) on standard output')
    .addHelpText(
      'after',
      `
Only what changed is made again. Results are in dist/BOARD/. Without --release the bundle is signed with
development keys, made on first use, and the image says so.

Artifacts:
  image          atomixos-SERIES-BOARD.img, to be flashed
  rauc-bundle    atomixos-SERIES-BOARD.raucb, the signed update
  squashfs       rootfs.squashfs, the root file system with its hash tree
  boot-script    boot.scr, which U-Boot runs from the slot

Examples:
  ./atomixos build
  ./atomixos build --level 3
  ./atomixos build rauc-bundle
  ./atomixos build --json | jq '.artifacts[].sha256'
  ./atomixos build --release --keyring keyring.pem --signing-key pki/signers/first/key.pem \\
    --signing-certificate pki/signers/first/certificate.pem --signing-chain pki/signers/first/chain.pem
`,
    )
  addReleaseOptions(command, {
    release: 'for the field: with production keys, which must be given',
    keyring: 'authorities and revocation lists for the image',
    signs: 'the bundle',
  }).action((artifact: PartName | undefined, options: BuildCommandOptions) =>
    runBuild(context, artifact, options),
  )
}

async function runBuild(
  context: CommandContext,
  artifact: PartName | undefined,
  options: BuildCommandOptions,
): Promise<void> {
  const started = Date.now()
  if (options.release) requireAll(options)
  const built =
    artifact === undefined ? await build(context, options) : await buildPart(context, artifact, options)
  context.reporter.close()
  if (options.json) {
    const result = 'manifest' in built ? built.manifest : built.files[0]
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    return
  }
  const dir = relative(process.cwd(), built.distDir) || '.'
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  process.stdout.write(`\n${dir}/ (${built.changed ? 'made' : 'unchanged'}, ${seconds} s)\n`)
  for (const file of built.files) {
    process.stdout.write(`  ${file.name.padEnd(36)} ${(file.sizeBytes / 1e6).toFixed(1).padStart(8)} MB\n`)
  }
  if (artifact === undefined)
    process.stdout.write('\nNext: `./atomixos vm` boots it here, `./atomixos test` tests it.\n')
}

function parseLevel(text: string): number {
  const level = Number(text)
  if (Number.isInteger(level) && level >= 1 && level <= 22) return level
  throw new InvalidArgumentError('a whole number from 1 to 22')
}
