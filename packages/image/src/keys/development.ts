import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ToolTree } from '../tools/tools.ts'
import {
  type Authority,
  createAuthority,
  issueSigner,
  keyringOf,
  readAuthority,
  revokeCertificate,
  type Signer,
  signerAt,
} from './authority.ts'
import { readCertificate } from './certificate.ts'

/**
 * In the name of every development certificate, so that `rauc info` shows it on any device and a release build knows
 * one of any checkout.
 */
export const developmentUnit = 'DEVELOPMENT - not for the field'

/** Keys of one checkout, without a passphrase: enough to try things, and worth nothing to anybody. */
export interface DevelopmentKeys {
  readonly authority: Authority
  /** For the image: the authority, and its list with the revoked signer. PEM. */
  readonly keyring: string
  readonly keyringPath: string
  readonly signer: Signer
  /** On the list from the beginning: what a device does with a stolen key can be tried. */
  readonly revokedSigner: Signer
}

/**
 * Long before any build's time stamp and long after any board: the dates of certificates are nothing that development
 * should stumble over.
 */
const validity = {
  fromSeconds: Date.UTC(2020, 0, 1) / 1000,
  untilSeconds: Date.UTC(2050, 0, 1) / 1000 - 1,
}

/** The keys in `dir`; made now when there are none, which `onMake` is told first. */
export async function ensureDevelopmentKeys(
  tools: ToolTree,
  options: { readonly dir: string; readonly onMake?: () => void },
): Promise<DevelopmentKeys> {
  const { dir } = options
  if (!existsSync(join(dir, 'keyring.pem'))) {
    options.onMake?.()
    await makeAll(tools, dir)
  }
  const keyringPath = join(dir, 'keyring.pem')
  return {
    authority: await readAuthority(join(dir, 'authority')),
    keyring: await readFile(keyringPath, 'utf8'),
    keyringPath,
    signer: signerAt(join(dir, 'signer')),
    revokedSigner: signerAt(join(dir, 'revoked')),
  }
}

/** Another process may be first: its keys are as good, and ours are dropped. */
async function makeAll(tools: ToolTree, dir: string): Promise<void> {
  await mkdir(dirname(dir), { recursive: true })
  const unfinished = await mkdtemp(`${dir}.new-`)
  try {
    // Two checkouts have two authorities, and OpenSSL finds lists by name.
    const suffix = randomBytes(4).toString('hex')
    const subject = (name: string) => ({
      organization: 'AtomixOS',
      unit: developmentUnit,
      name: `AtomixOS development ${name} ${suffix}`,
    })
    const authority = await createAuthority(tools, {
      dir: join(unfinished, 'authority'),
      subject: subject('authority'),
      validity,
    })
    const issue = (folder: string, name: string) =>
      issueSigner(tools, {
        dir: join(unfinished, folder),
        subject: subject(name),
        validity,
        issuer: { authority },
      })
    await issue('signer', 'signer')
    const revoked = await issue('revoked', 'revoked signer')
    const listed = await revokeCertificate(
      tools,
      { authority },
      {
        certificate: await readCertificate(revoked.certificatePath),
        name: 'revoked',
        atSeconds: validity.fromSeconds,
      },
    )
    await writeFile(join(unfinished, 'keyring.pem'), await keyringOf(listed, []))
    await rename(unfinished, dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}
