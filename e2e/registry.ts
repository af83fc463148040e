import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LabProcess } from '@atomixos/machine'
import { type GatewayNetwork, providerAddress, updateHostName } from './gateway-network.ts'
import { makeCertificate } from './update-server.ts'

/** A registry on the WAN, as a site runs one: Debian's, with a certificate of an authority of its own. */
export interface Registry extends AsyncDisposable {
  /** What stands before the name of an image: `updates.test:5000`. */
  readonly host: string
  /** PEM of the authority that answers for it. */
  readonly authority: string
  /** Nobody listens there from now on. */
  stop(): Promise<void>
}

/** By TLS at port 5000; or plainly, for what a mirror of the same site may be. What is in it stays over a stop. */
export async function createRegistry(
  network: GatewayNetwork,
  { port, tls }: { readonly port: number; readonly tls: boolean },
): Promise<Registry> {
  const { provider, lab } = network
  const { key, certificate, authority } = await makeCertificate(lab.dir)
  const folder = join(provider.dir, 'root')
  const name = `registry-${port}`
  await writeFile(join(folder, `${name}.key`), key)
  await writeFile(join(folder, `${name}.pem`), certificate)
  await writeFile(
    join(folder, `${name}.yml`),
    [
      'version: 0.1',
      'log: { level: info, accesslog: { disabled: false } }',
      'storage: { filesystem: { rootdirectory: /root/registry }, delete: { enabled: false } }',
      'http:',
      `  addr: ${providerAddress}:${port}`,
      ...(tls ? ['  tls:', `    certificate: /root/${name}.pem`, `    key: /root/${name}.key`] : []),
      '',
    ].join('\n'),
  )
  const server: LabProcess = await provider.spawn(['docker-registry', 'serve', `/root/${name}.yml`])
  await server.waitForOutput(/listening on/)
  return {
    host: `${updateHostName}:${port}`,
    authority,
    stop: () => server.stop(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
