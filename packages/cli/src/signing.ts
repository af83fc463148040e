import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkReleaseKeys } from '@atomixos/image/bundle/release.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Signer } from '@atomixos/image/keys/authority.ts'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '@atomixos/image/keys/development.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import type { CommandContext } from './context.ts'

/** What is signed with, and what tells people which kind of build they have. */
export interface Signing {
  readonly variant: 'development' | 'release'
  /** For the image: whom a device trusts. PEM. */
  readonly keyring: string
  readonly signer: Signer
  /** Undefined: when it is signed. */
  readonly signingTimeSeconds: number | undefined
}

/** As on the command line, all of them paths. */
export interface ReleaseOptions {
  readonly release?: boolean
  readonly keyring?: string
  readonly signingKey?: string
  readonly signingCertificate?: string
  readonly signingChain?: string
  readonly signingPassphraseFile?: string
}

/** Development keys, made when there are none; for a release the given ones, after every check. Throws UserError. */
export async function openSigning(
  context: CommandContext,
  tools: ToolTree,
  options: ReleaseOptions,
): Promise<Signing> {
  const signingTimeSeconds = parseSigningTime(process.env.ATOMIXOS_SIGNING_TIME)
  const development = await openDevelopmentKeys(context, tools)
  if (!options.release) {
    refuseWithoutRelease(options)
    const { keyring, signer } = development
    return { variant: 'development', keyring, signer, signingTimeSeconds }
  }
  const { keyring: keyringPath, signingKey, signingCertificate, signingChain } = requireAll(options)
  const signer = {
    keyPath: signingKey,
    certificatePath: signingCertificate,
    chainPath: signingChain,
    passphrase: await signingPassphrase(options.signingPassphraseFile),
  }
  const keyring = await checkReleaseKeys(tools, {
    keys: { keyringPath, signer },
    development,
    signingTimeSeconds: signingTimeSeconds ?? Math.floor(Date.now() / 1000),
  })
  return { variant: 'release', keyring, signer, signingTimeSeconds }
}

export function openDevelopmentKeys(context: CommandContext, tools: ToolTree): Promise<DevelopmentKeys> {
  const dir = developmentKeysDir(context)
  return ensureDevelopmentKeys(tools, {
    dir,
    onMake: () => context.reporter.info(`making development keys in ${dir}`),
  })
}

export function developmentKeysDir(context: CommandContext): string {
  return join(context.workspace.cacheDir, 'keys', 'development')
}

const needed = {
  keyring: '--keyring FILE: `./atomixos keys keyring DIR -o keyring.pem` makes it',
  signingKey: '--signing-key FILE: DIR/signers/NAME/key.pem',
  signingCertificate: '--signing-certificate FILE: DIR/signers/NAME/certificate.pem',
} as const

/** A release without one of them would be a development build by accident. */
export function requireAll<T extends ReleaseOptions>(
  options: T,
): T & Required<Pick<ReleaseOptions, keyof typeof needed>> {
  const missing = (Object.keys(needed) as (keyof typeof needed)[]).filter((key) => !options[key])
  if (missing.length === 0) return options as T & Required<Pick<ReleaseOptions, keyof typeof needed>>
  throw new UserError(
    `a release needs production keys; missing:\n${missing.map((key) => `  ${needed[key]}`).join('\n')}`,
    {
      hint: '`./atomixos keys init --production DIR` makes them, docs/keys.md tells how to keep them;\nwithout --release the build is for development',
      exitCode: 2,
    },
  )
}

/** Production keys must not end up in what is no release, and nobody should believe that they did. */
function refuseWithoutRelease(options: ReleaseOptions): void {
  const { keyring, signingKey, signingCertificate, signingChain, signingPassphraseFile } = options
  if (!(keyring || signingKey || signingCertificate || signingChain || signingPassphraseFile)) return
  throw new UserError('keys are given, but --release is not', {
    hint: 'add --release, or leave the keys out for a development build',
    exitCode: 2,
  })
}

/** Undefined: the key has none. */
async function signingPassphrase(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return process.env.ATOMIXOS_SIGNER_PASSPHRASE
  return readPassphraseFile(path)
}

/** The first line of a file. */
export async function readPassphraseFile(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new UserError(`${path} cannot be read: ${cause.code ?? cause.message}`, { exitCode: 2, cause })
  })
  return text.split('\n')[0]!
}

/** `ATOMIXOS_SIGNING_TIME`: seconds since 1970, for builds that must be the same to the last byte. */
export function parseSigningTime(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  if (/^\d{9,10}$/.test(text)) return Number(text)
  throw new UserError(`ATOMIXOS_SIGNING_TIME is "${text}"`, {
    hint: 'it must be seconds since 1970, as `date +%s` prints them',
    exitCode: 2,
  })
}
