import type { ToolTree } from '../tools/tools.ts'
import { pemBlocks } from './certificate.ts'

/** Who issued each revocation list of a keyring (PEM), in its order. */
export async function listIssuers(tools: ToolTree, keyring: string): Promise<string[]> {
  const issuers: string[] = []
  for (const block of pemBlocks(keyring, 'X509 CRL')) {
    const { stdout } = await tools.run({
      argv: ['/usr/bin/openssl', 'crl', '-noout', '-issuer', '-nameopt', 'RFC2253,utf8'],
      purpose: 'to read a revocation list of the keyring',
      mounts: [],
      stdin: Buffer.from(block),
      timeoutMs: 60_000,
    })
    issuers.push(stdout.trim().replace(/^issuer=/, ''))
  }
  return issuers
}
