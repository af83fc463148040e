import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type InspectedBundle, inspectBundle } from '@atomixos/image/bundle/inspect.ts'
import { type BundleParts, readBundle } from '@atomixos/image/bundle/read.ts'
import { type Judgement, judgeSignature, verifyPayload } from '@atomixos/image/bundle/verify.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { certificateName } from '@atomixos/image/keys/certificate.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { openLockedInputs } from '../locked-inputs.ts'
import { developmentKeysDir } from '../signing.ts'

export function addBundle(program: Command, context: CommandContext): void {
  const bundle = program
    .command('bundle')
    .description('look at a signed update, and check it as a device would')
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos bundle info dist/rock64/atomixos-trixie-rock64.raucb
  ./atomixos bundle verify atomixos-trixie-rock64.raucb --keyring keyring.pem
`,
    )
  bundle
    .command('info')
    .description('what is in a bundle and who signed it')
    .argument('<file>', 'the bundle')
    .option(
      '--keyring <FILE>',
      "judge the signer by this keyring; left out: by this checkout's development keys",
    )
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos bundle info update.raucb\n  ./atomixos bundle info update.raucb --json | jq .version\n',
    )
    .action((file: string, options: BundleOptions) => runInfo(context, file, options))
  bundle
    .command('verify')
    .description("the signature, by RAUC with a device's settings, and every byte of the contents")
    .argument('<file>', 'the bundle')
    .option('--keyring <FILE>', "of the device; left out: that of this checkout's development builds")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 a device takes it, 1 it does not, 2 it is no bundle.\n\nExamples:\n  ./atomixos bundle verify update.raucb --keyring keyring.pem\n',
    )
    .action((file: string, options: BundleOptions) => runVerify(context, file, options))
}

interface BundleOptions {
  readonly keyring?: string
  readonly json?: boolean
}

interface Opened {
  readonly tools: ToolTree
  readonly bundle: BundleParts
  readonly inspected: InspectedBundle
  /** Undefined: there is none to judge by. */
  readonly keyringPath: string | undefined
}

async function open(context: CommandContext, file: string, options: BundleOptions): Promise<Opened> {
  const bundle = await readBundle(file)
  if (options.keyring !== undefined && !existsSync(options.keyring)) {
    throw new UserError(`${options.keyring} is not there`, {
      hint: '`./atomixos keys keyring DIR -o FILE` makes a keyring',
      exitCode: 2,
    })
  }
  const tools = await (await openLockedInputs(context, { targets: ['tools'] })).toolTree('tools')
  const inspected = await inspectBundle(tools, bundle)
  const own = join(developmentKeysDir(context), 'keyring.pem')
  const keyringPath = options.keyring ?? (existsSync(own) ? own : undefined)
  return { tools, bundle, inspected, keyringPath }
}

async function runInfo(context: CommandContext, file: string, options: BundleOptions): Promise<void> {
  const opened = await open(context, file, options)
  const judgement = await judge(opened)
  context.reporter.close()
  if (options.json) {
    process.stdout.write(`${JSON.stringify(describe(opened, judgement), null, 2)}\n`)
  } else process.stdout.write(renderInfo(opened, judgement))
  // Somebody who names a keyring asks a question.
  if (options.keyring !== undefined && judgement?.accepted === false) process.exitCode = 1
}

async function runVerify(context: CommandContext, file: string, options: BundleOptions): Promise<void> {
  const opened = await open(context, file, options)
  const { bundle, inspected, keyringPath } = opened
  const judgement = await judge(opened)
  if (judgement === undefined) {
    throw new UserError('there is no keyring to judge by', {
      hint: 'give the one that devices have, with --keyring FILE',
      exitCode: 2,
    })
  }
  if (!judgement.accepted) {
    throw new UserError(`${file}: a device with ${keyringPath} refuses it: ${judgement.reason}`, {
      hint: `it was signed by ${certificateName(inspected.signer)}`,
    })
  }
  verifyPayload(bundle, inspected.manifest.verity)
  context.reporter.close()
  if (options.json) {
    process.stdout.write(`${JSON.stringify(describe(opened, judgement), null, 2)}\n`)
    return
  }
  const kind = inspected.development ? ' DEVELOPMENT bundle, not for the field.' : ''
  process.stdout.write(`${file}: devices with ${keyringPath} take it; every byte is as signed.${kind}\n`)
}

async function judge({ tools, bundle, keyringPath }: Opened): Promise<Judgement | undefined> {
  if (keyringPath === undefined) return undefined
  return judgeSignature(tools, { bundlePath: bundle.path, keyringPath })
}

function describe({ bundle, inspected, keyringPath }: Opened, judgement: Judgement | undefined) {
  const { manifest, signer, certificates, signingTimeSeconds, development } = inspected
  const { compatible, version, description, build, images, verity } = manifest
  return {
    compatible,
    version,
    description,
    build,
    format: 'verity',
    sizeBytes: bundle.sizeBytes,
    images,
    verity,
    development,
    signer: certificateName(signer),
    certificates: certificates.map((certificate) => ({
      name: certificateName(certificate),
      sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    })),
    signingTime: signingTimeSeconds === undefined ? null : isoTime(signingTimeSeconds),
    keyring: keyringPath ?? null,
    accepted: judgement?.accepted ?? null,
    reason: judgement?.accepted === false ? judgement.reason : null,
  }
}

function renderInfo(opened: Opened, judgement: Judgement | undefined): string {
  const { bundle, inspected, keyringPath } = opened
  const { manifest, signer, certificates, signingTimeSeconds, development } = inspected
  const lines = development
    ? ['DEVELOPMENT BUNDLE: signed with a development key, not for the field.', '']
    : []
  const say = (name: string, value: string) => lines.push(`${name.padEnd(12)} ${value}`)
  say('compatible', manifest.compatible)
  say('version', manifest.version)
  say('description', manifest.description)
  say('build', manifest.build)
  say('format', `verity, ${megabytes(bundle.sizeBytes)}`)
  for (const { slotClass, filename, sizeBytes, sha256 } of manifest.images) {
    say(slotClass, `${filename}, ${megabytes(sizeBytes)}, sha256 ${sha256}`)
  }
  say('signer', certificateName(signer))
  for (const certificate of certificates) {
    if (certificate.fingerprint256 !== signer.fingerprint256) say('', certificateName(certificate))
  }
  say('authority', signer.issuer.split('\n').join(', '))
  say('signed', signingTimeSeconds === undefined ? 'at an unknown time' : isoTime(signingTimeSeconds))
  const verdict =
    judgement === undefined
      ? 'not judged: give --keyring FILE'
      : judgement.accepted
        ? `accepted with ${keyringPath}`
        : `refused with ${keyringPath}: ${judgement.reason}`
  say('trust', verdict)
  return `${lines.join('\n')}\n`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

function isoTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z')
}
