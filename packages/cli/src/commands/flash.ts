import { createHash } from 'node:crypto'
import { relative, resolve } from 'node:path'
import { bootSeedName } from '@atomixos/config'
import { claimCodeName } from '@atomixos/config/api/index.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { claimCodeProblem, makeClaimCode } from '@atomixos/image/flash/claim-code.ts'
import {
  type Disk,
  describeBytes,
  describeDisk,
  isBuiltIn,
  targetProblems,
} from '@atomixos/image/flash/disk.ts'
import { findTarget, listDisks } from '@atomixos/image/flash/find-target.ts'
import { type FlashPlan, flash, refuseDisk, refuseImageItself } from '@atomixos/image/flash/flash.ts'
import { type FlashImage, newestImage, readFlashImage } from '@atomixos/image/flash/flash-image.ts'
import { planBootFiles, readSeed } from '@atomixos/image/flash/seed.ts'
import type { Written } from '@atomixos/image/flash/write-image.ts'
import type { Command } from 'commander'
import { confirm } from '../confirm.ts'
import type { CommandContext } from '../context.ts'

interface FlashOptions {
  readonly image?: string
  readonly config?: string
  /** true: one is made. */
  readonly claimCode?: string | true
  readonly yes?: boolean
  readonly list?: boolean
  readonly json?: boolean
}

export function addFlash(program: Command, context: CommandContext): void {
  program
    .command('flash')
    .description('write the image to a card, an eMMC module or a stick, and read it back')
    .argument('[device]', 'a whole disk: /dev/sdb, /dev/mmcblk0; on macOS /dev/disk4')
    .option('-i, --image <FILE>', 'this image; left out: the newest below dist/')
    .option('--config <FILE>', `put this configuration onto the boot partition, as ${bootSeedName}`)
    .option(
      '--claim-code [CODE]',
      `whoever configures the device first over the network needs this code; left out: one is made and shown`,
    )
    .option('-y, --yes', 'do not ask; disks that are built into this machine are refused then')
    .option('--list', 'show the disks of this machine, and which of them would be refused')
    .option('--json', 'the result on standard output; with --list: the disks')
    .addHelpText(
      'after',
      `
Everything on the device is lost. Disks that this machine runs from or has mounted, and disks that are too small
or write-protected, are refused. The start of the device is written last, when all else was read back and is right:
a device that was interrupted does not boot. docs/flash.md has the details.

Examples:
  ./atomixos flash --list
  ./atomixos flash /dev/sdb
  ./atomixos flash --config config.toml /dev/sdb
  ./atomixos flash /dev/sdb --claim-code
  ./atomixos flash -y -i atomixos-trixie-rock64.img /dev/mmcblk0
`,
    )
    .action((device: string | undefined, options: FlashOptions) => {
      if (options.list) return listCommand(options.json === true)
      if (device !== undefined) return runFlash(context, device, options)
      if (typeof options.claimCode === 'string' && options.claimCode.startsWith('/')) {
        throw new UserError(
          `${options.claimCode} stands where the claim code would be, and there is no device`,
          {
            hint: `to have a code made, name the device first: \`./atomixos flash ${options.claimCode} --claim-code\``,
            exitCode: 2,
          },
        )
      }
      throw new UserError('which device?', {
        hint: 'name it: `./atomixos flash /dev/sdb`; `./atomixos flash --list` shows what there is',
        exitCode: 2,
      })
    })
}

async function runFlash(context: CommandContext, device: string, options: FlashOptions): Promise<void> {
  const { reporter, signal, workspace } = context
  const claim = options.claimCode === undefined ? undefined : claimOf(options.claimCode)
  // What is cheap to refuse is refused before a gigabyte is hashed.
  const disk = await findTarget(device)
  refuseDisk(disk, 0)
  const imagePath = options.image ?? (await newestImage(workspace.distDir))
  const seed = options.config === undefined ? undefined : await readSeed(options.config)
  const image = await hashed(context, imagePath)
  refuseDisk(disk, image.sizeBytes)
  await refuseImageItself(image, disk)
  const plan = { image, disk, seed, claimCode: claim?.code }
  // What does not fit is found before anybody is asked.
  await planBootFiles(image, plan)
  for (const line of renderPlan(plan, options.config)) reporter.info(line)
  await confirmPlan(plan, options, signal)

  const startedMs = Date.now()
  const written = await flash(plan, { reporter, signal })
  reporter.close()
  const seconds = (Date.now() - startedMs) / 1000
  if (options.json) {
    const claimCode = claim?.made ? claim.code : undefined
    const value = { ...result(plan, written, seconds), ...(claimCode !== undefined && { claimCode }) }
    process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
    return
  }
  for (const line of renderWritten(plan, written, seconds, claim)) process.stdout.write(`${line}\n`)
}

interface Claim {
  readonly code: string
  /** By us: nobody knows it yet. */
  readonly made: boolean
}

function claimOf(given: string | true): Claim {
  if (given === true) return { code: makeClaimCode(), made: true }
  const problem = claimCodeProblem(given)
  if (problem === undefined) return { code: given, made: false }
  throw new UserError(`${JSON.stringify(given)} cannot be a claim code: ${problem}`, {
    hint: 'leave it out, and one is made and shown at the end',
    exitCode: 2,
  })
}

async function hashed({ reporter, signal }: CommandContext, path: string): Promise<FlashImage> {
  const task = reporter.task(`checking ${shortPath(path)}`)
  try {
    const image = await readFlashImage(path, signal)
    task.done()
    return image
  } catch (error) {
    task.failed()
    throw error
  }
}

/** Everything that a person must know to say yes. Pure, but for where they are. */
export function renderPlan(
  { image, disk, seed, claimCode }: FlashPlan,
  config: string | undefined,
): string[] {
  const { build } = image
  const about = [
    ...(build === undefined ? [] : [build.board, build.version, build.variant]),
    describeBytes(image.sizeBytes),
    `made ${new Date(image.modifiedAtMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
  ]
  const lost =
    disk.contents.length === 0
      ? ['  everything that is on it']
      : disk.contents.map(
          ({ path, sizeBytes, what }) =>
            `  ${path}  ${describeBytes(sizeBytes).padStart(8)}  ${what ?? '(contents not known)'}`,
        )
  return [
    '',
    `Image   ${shortPath(image.path)}`,
    `        ${about.join(', ')}`,
    image.checkedBy === undefined
      ? '        no SHA256SUMS is beside it: nothing but the file says that it is right'
      : `        its SHA-256 is the one in ${image.checkedBy}`,
    ...(seed === undefined
      ? []
      : [`Seed    ${config} (${seed.byteLength} bytes) becomes ${bootSeedName} on the boot partition`]),
    ...(claimCode === undefined
      ? []
      : ['Claim   a code on the boot partition, for who configures the device first over the network']),
    `Device  ${disk.path}`,
    `        ${describeDisk(disk)}`,
    'Lost    all data on this device:',
    ...lost.map((line) => `      ${line}`),
    '',
  ]
}

async function confirmPlan({ disk }: FlashPlan, { yes }: FlashOptions, signal: AbortSignal): Promise<void> {
  if (isBuiltIn(disk)) {
    if (yes) {
      throw new UserError(
        `${disk.path} is built into this machine, and -y does not reach such disks. Nothing was changed.`,
        { hint: 'run the command at a terminal without -y', exitCode: 2 },
      )
    }
    const question = `This disk is built into this machine. Type ${disk.path} to overwrite it: `
    return confirm({ question, answer: disk.path, option: 'another device' }, signal)
  }
  if (yes) return
  return confirm({ question: `Type yes to overwrite ${disk.path}: `, answer: 'yes', option: '-y' }, signal)
}

function renderWritten(
  { image, disk, seed }: FlashPlan,
  written: Written,
  seconds: number,
  claim: Claim | undefined,
): string[] {
  const rate = (image.sizeBytes / 1e6 / Math.max(seconds, 0.1)).toFixed(1)
  const zeros =
    written.skippedBytes === 0
      ? ''
      : `; ${describeBytes(written.skippedBytes)} of them were zeros there already`
  return [
    '',
    `${disk.path} has the image: ${describeBytes(image.sizeBytes)} in ${seconds.toFixed(0)} s (${rate} MB/s)${zeros}`,
    written.uncached
      ? 'All of it was read back from the device and is right.'
      : 'All of it was read back and is right, but through the cache of this machine: this file system has no other way.',
    ...(seed === undefined ? [] : [`${bootSeedName} is on its boot partition.`]),
    ...(claim === undefined ? [] : [`The claim code is on its boot partition, as ${claimCodeName}.`]),
    ...(claim?.made ? ['', `Claim code: ${claim.code}`, 'Note it down: it is not shown again.'] : []),
    '',
    'Next: take it out, put it into the board, and switch on. docs/flash.md tells what the first start does.',
  ]
}

function result({ image, disk, seed, claimCode }: FlashPlan, written: Written, seconds: number) {
  return {
    device: disk.path,
    model: disk.model ?? null,
    serial: disk.serial ?? null,
    image: image.path,
    version: image.build?.version ?? null,
    board: image.build?.board ?? null,
    sizeBytes: image.sizeBytes,
    sha256: image.sha256,
    checkedBy: image.checkedBy ?? null,
    seedSha256: seed === undefined ? null : createHash('sha256').update(seed).digest('hex'),
    hasClaimCode: claimCode !== undefined,
    writtenBytes: written.writtenBytes,
    skippedBytes: written.skippedBytes,
    readBack: written.uncached ? 'device' : 'cache',
    seconds,
  }
}

async function listCommand(json: boolean): Promise<void> {
  const disks = (await listDisks()).map((disk) => ({ disk, refused: refusals(disk) }))
  if (json) {
    const value = disks.map(({ disk: { identity: _, ...facts }, refused }) => ({ ...facts, refused }))
    process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
    return
  }
  if (disks.length === 0) process.stdout.write('This machine has no disks that could be written.\n')
  for (const { disk, refused } of disks) {
    process.stdout.write(`${disk.path}  ${describeDisk(disk)}\n`)
    for (const { path, sizeBytes, what } of disk.contents) {
      process.stdout.write(`  ${path}  ${describeBytes(sizeBytes)}  ${what ?? ''}`.trimEnd().concat('\n'))
    }
    for (const reason of refused) process.stdout.write(`  refused: ${reason}\n`)
  }
}

/** With the smallest image there could be: sizes are judged by what the system needs. */
function refusals(disk: Disk): string[] {
  return targetProblems(disk, 0).map(({ message }) => message)
}

function shortPath(path: string): string {
  const short = relative(process.cwd(), resolve(path))
  return short.startsWith('..') ? path : short
}
