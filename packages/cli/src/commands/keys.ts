import { randomBytes } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import { certificateName, readCertificate, validityOf } from '@atomixos/image/keys/certificate.ts'
import {
  createProductionKeys,
  createSigner,
  type Passphrases,
  productionKeyring,
  readProductionKeys,
  revokeNamed,
  signerStates,
} from '@atomixos/image/keys/production.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { openLockedInputs } from '../locked-inputs.ts'
import { readPassphrase } from '../passphrase.ts'
import { developmentKeysDir, openDevelopmentKeys } from '../signing.ts'

type Role = keyof Passphrases
type PassphraseFiles = { readonly [R in Role as `${R}PassphraseFile`]?: string }

export function addKeys(program: Command, context: CommandContext): void {
  const keys = program
    .command('keys')
    .description('make, list and revoke the keys that bundles are signed with')
    .addHelpText(
      'after',
      `
Development keys need no attention: a build makes them. docs/keys.md tells how to keep those for production.

Examples:
  ./atomixos keys show
  ./atomixos keys init --production pki --organization "Example GmbH"
  ./atomixos keys signer pki release-2027
  ./atomixos keys revoke pki release-2026
  ./atomixos keys keyring pki -o keyring.pem
`,
    )
  addInit(keys, context)
  addSigner(keys, context)
  addRevoke(keys, context)
  addKeyring(keys, context)
  addShow(keys, context)
}

function addInit(keys: Command, context: CommandContext): void {
  keys
    .command('init')
    .description('make development keys, or a production root with an intermediate and a first signer')
    .option('--production <DIR>', 'production keys, into this new folder')
    .option('--organization <NAME>', 'in the names of production certificates')
    .option('--signer <NAME>', 'name of the first production signer', 'first')
    .option('--root-passphrase-file <FILE>', 'or ATOMIXOS_ROOT_PASSPHRASE, or a prompt')
    .option('--intermediate-passphrase-file <FILE>', 'or ATOMIXOS_INTERMEDIATE_PASSPHRASE, or a prompt')
    .option('--signer-passphrase-file <FILE>', 'or ATOMIXOS_SIGNER_PASSPHRASE, or a prompt')
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos keys init
  ./atomixos keys init --production /media/usb/pki --organization "Example GmbH"
`,
    )
    .action((options: InitOptions) => runInit(context, options))
}

interface InitOptions extends PassphraseFiles {
  readonly production?: string
  readonly organization?: string
  readonly signer: string
}

async function runInit(context: CommandContext, options: InitOptions): Promise<void> {
  const { production: dir, organization } = options
  if (dir === undefined) {
    await openDevelopmentKeys(context, await openTools(context))
    say(context, `development keys are in ${developmentKeysDir(context)}`)
    return
  }
  if (organization === undefined) {
    throw new UserError('production keys carry a name', {
      hint: 'add --organization "Example GmbH"',
      exitCode: 2,
    })
  }
  const passphrases = {
    root: await passphraseOf('root', options, true, context),
    intermediate: await passphraseOf('intermediate', options, true, context),
    signer: await passphraseOf('signer', options, true, context),
  }
  const tools = await openTools(context)
  const nowSeconds = Math.floor(Date.now() / 1000)
  await createProductionKeys(tools, {
    dir,
    organization,
    signerName: options.signer,
    passphrases,
    nowSeconds,
  })
  say(context, `${dir} has a root, an intermediate and the signer ${options.signer}`)
  say(context, `Next: take ${join(dir, 'root/key.pem')} off this machine, twice, and read docs/keys.md.`)
  say(context, `      \`./atomixos keys keyring ${dir} -o keyring.pem\` makes what goes into images.`)
}

function addSigner(keys: Command, context: CommandContext): void {
  keys
    .command('signer')
    .description('certify one more production signer')
    .argument('<dir>', 'folder of production keys')
    .argument('<name>', 'of the new signer')
    .option('--days <N>', 'how long it may sign; left out: three years', parseDays)
    .option('--intermediate-passphrase-file <FILE>', 'or ATOMIXOS_INTERMEDIATE_PASSPHRASE, or a prompt')
    .option('--signer-passphrase-file <FILE>', 'or ATOMIXOS_SIGNER_PASSPHRASE, or a prompt')
    .addHelpText('after', '\nExamples:\n  ./atomixos keys signer pki release-2027 --days 400\n')
    .action(async (dir: string, name: string, options: PassphraseFiles & { days?: number }) => {
      const { intermediate: issuer } = await readProductionKeys(dir)
      const passphrases = {
        intermediate: await passphraseOf('intermediate', options, false, context),
        signer: await passphraseOf('signer', options, true, context),
      }
      await createSigner(await openTools(context), {
        dir,
        name,
        issuer,
        passphrases,
        nowSeconds: Math.floor(Date.now() / 1000),
        ...(options.days === undefined ? {} : { lifetimeSeconds: options.days * 24 * 3600 }),
      })
      say(context, `${join(dir, 'signers', name)} can sign; devices need no new keyring for it`)
    })
}

function addRevoke(keys: Command, context: CommandContext): void {
  keys
    .command('revoke')
    .description('put a production signer, or the intermediate, on the list of its authority')
    .argument('<dir>', 'folder of production keys')
    .argument('<name>', 'of the signer, or `intermediate`')
    .option('--root-passphrase-file <FILE>', 'for the intermediate; or ATOMIXOS_ROOT_PASSPHRASE, or a prompt')
    .option(
      '--intermediate-passphrase-file <FILE>',
      'for a signer; or ATOMIXOS_INTERMEDIATE_PASSPHRASE, or a prompt',
    )
    .addHelpText('after', '\nExamples:\n  ./atomixos keys revoke pki release-2026\n')
    .action(async (dir: string, name: string, options: PassphraseFiles) => {
      const issuer = name === 'intermediate' ? 'root' : 'intermediate'
      const issuerPassphrase = await passphraseOf(issuer, options, false, context)
      const nowSeconds = Math.floor(Date.now() / 1000)
      await revokeNamed(await openTools(context), { dir, name, issuerPassphrase, nowSeconds })
      say(context, `${name} is revoked, with everything it ever signed`)
      say(context, 'Next: make the keyring again, build a release with it, and bring that to every device.')
    })
}

function addKeyring(keys: Command, context: CommandContext): void {
  keys
    .command('keyring')
    .description('write the roots and revocation lists that go into images')
    .argument('<dirs...>', 'folders of production keys; several while one root replaces another')
    .requiredOption('-o, --output <FILE>', 'the keyring')
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos keys keyring pki -o keyring.pem\n  ./atomixos keys keyring pki-old pki-new -o keyring.pem\n',
    )
    .action(async (dirs: readonly string[], options: { output: string }) => {
      const unfinished = `${options.output}.${randomBytes(4).toString('hex')}`
      await writeFile(unfinished, await productionKeyring(dirs))
      await rename(unfinished, options.output)
      say(context, `${options.output}: for \`./atomixos build --release --keyring ${options.output} ...\``)
    })
}

function addShow(keys: Command, context: CommandContext): void {
  keys
    .command('show')
    .description('list keys, how long they hold, and which are revoked')
    .argument('[dir]', 'folder of production keys; left out: the development keys')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  ./atomixos keys show\n  ./atomixos keys show pki --json\n')
    .action(async (dir: string | undefined, options: { json?: boolean }) => {
      const rows = dir === undefined ? await developmentRows(context) : await productionRows(dir)
      context.reporter.close()
      if (options.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`)
      else
        for (const { role, state, until, name } of rows)
          process.stdout.write(`${role.padEnd(24)} ${state.padEnd(8)} until ${until}  ${name}\n`)
    })
}

interface KeyRow {
  readonly role: string
  readonly state: string
  /** `2029-11-21` */
  readonly until: string
  readonly name: string
}

async function productionRows(dir: string): Promise<KeyRow[]> {
  const keys = await readProductionKeys(dir)
  const revoked = new Set(keys.root.revoked.map(({ serial }) => serial))
  const states = await signerStates(keys, Date.now() / 1000)
  const state = revoked.has(keys.intermediate.certificate.serialNumber) ? 'revoked' : 'valid'
  return [
    row('root', 'valid', keys.root.certificate),
    row('intermediate', state, keys.intermediate.certificate),
    ...(await Promise.all(
      states.map(async ({ name, state }) =>
        row(`signer ${name}`, state, await readCertificate(join(dir, 'signers', name, 'certificate.pem'))),
      ),
    )),
  ]
}

async function developmentRows(context: CommandContext): Promise<KeyRow[]> {
  const { authority, signer, revokedSigner } = await openDevelopmentKeys(context, await openTools(context))
  return [
    row('development authority', 'valid', authority.certificate),
    row('development signer', 'valid', await readCertificate(signer.certificatePath)),
    row('for tests', 'revoked', await readCertificate(revokedSigner.certificatePath)),
  ]
}

function row(role: string, state: string, certificate: Awaited<ReturnType<typeof readCertificate>>): KeyRow {
  const until = new Date(validityOf(certificate).untilSeconds * 1000).toISOString().slice(0, 10)
  return { role, state, until, name: certificateName(certificate) }
}

async function openTools(context: CommandContext): Promise<ToolTree> {
  return (await openLockedInputs(context, { targets: ['tools'] })).toolTree('tools')
}

function passphraseOf(
  role: Role,
  files: PassphraseFiles,
  isNew: boolean,
  context: CommandContext,
): Promise<string> {
  const source = {
    of: `${role} key`,
    file: files[`${role}PassphraseFile`],
    option: `--${role}-passphrase-file`,
    variable: `ATOMIXOS_${role.toUpperCase()}_PASSPHRASE`,
    isNew,
  }
  return readPassphrase(source, context.signal)
}

function say(context: CommandContext, text: string): void {
  context.reporter.close()
  process.stdout.write(`${text}\n`)
}

function parseDays(text: string): number {
  const days = Number(text)
  if (Number.isInteger(days) && days >= 1) return days
  throw new InvalidArgumentError('a whole number of days')
}
