/** The server's TLS certificate: given, or made here with an authority of its own. */
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { join } from 'node:path'
import { type FleetPrograms, run } from './programs.ts'

export interface ServerCertificate {
  readonly key: string
  readonly certificate: string
  /** What devices are given with `--ca`; undefined for a certificate that was given. */
  readonly authorityPath: string | undefined
}

const authorityDays = 7300
const serverDays = 398
const renewalMs = 30 * 86_400_000

/**
 * The certificate for that name or address; renewed when it ends within 30 days or is for another name. The authority
 * stays: devices know it.
 */
export async function openCertificate(
  programs: FleetPrograms,
  { dir, host, nowMs }: { readonly dir: string; readonly host: string; readonly nowMs: number },
): Promise<ServerCertificate> {
  const folder = join(dir, 'tls')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = (name: string) => join(folder, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  if (!existsSync(path('authority.pem'))) {
    await writeFile(
      path('authority.cnf'),
      '[req]\ndistinguished_name=dn\nx509_extensions=ca\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
    )
    await run(programs, [
      ...(['openssl', 'req', '-x509', ...newKey, '-config', path('authority.cnf')] as const),
      ...['-days', String(authorityDays), '-subj', '/CN=AtomixOS fleet server'],
      ...['-keyout', path('authority.key'), '-out', path('authority.pem.new')],
    ])
    await rename(path('authority.pem.new'), path('authority.pem'))
  }
  if (!(await isUsable(path('server.pem'), host, nowMs))) {
    const name = isIPv4(host) ? `IP:${host}` : `DNS:${host}`
    await writeFile(
      path('server.ext'),
      `subjectAltName=${name}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n`,
    )
    await run(programs, [
      ...(['openssl', 'req', ...newKey, '-config', path('authority.cnf'), '-subj', '/CN=fleet'] as const),
      ...['-keyout', path('server.key'), '-out', path('server.csr')],
    ])
    await run(programs, [
      ...(['openssl', 'x509', '-req', '-in', path('server.csr')] as const),
      ...['-CA', path('authority.pem'), '-CAkey', path('authority.key'), '-days', String(serverDays)],
      ...['-extfile', path('server.ext'), '-out', path('server.pem.new')],
    ])
    await rename(path('server.pem.new'), path('server.pem'))
    await rm(path('server.csr'), { force: true })
  }
  const [key, certificate] = await Promise.all(
    ['server.key', 'server.pem'].map((name) => readFile(path(name), 'utf8')),
  )
  return { key: key!, certificate: certificate!, authorityPath: path('authority.pem') }
}

async function isUsable(path: string, host: string, nowMs: number): Promise<boolean> {
  try {
    const certificate = new X509Certificate(await readFile(path))
    const named = isIPv4(host) ? certificate.checkIP(host) : certificate.checkHost(host)
    return named !== undefined && certificate.validToDate.getTime() - nowMs > renewalMs
  } catch {
    return false
  }
}
