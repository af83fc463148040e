import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signedBundle, smallPayload } from '@atomixos/image/bundle/test-bundles.ts'
import { evaluate } from '@atomixos/image/definition/index.ts'
import type { Signer } from '@atomixos/image/keys/authority.ts'
import { type DevelopmentKeys, ensureDevelopmentKeys } from '@atomixos/image/keys/development.ts'
import { openTestInputs } from '@atomixos/image/tools/test-inputs.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boards } from './index.ts'

/** The device's system.conf, whole, in the hands of the RAUC that reads it there: an unknown key stops it. */

let tools: ToolTree
let dir: string
let keys: DevelopmentKeys
beforeAll(async () => {
  tools = await (await openTestInputs()).toolTree('tools')
  dir = await mkdtemp(join(tmpdir(), 'atomixos-rauc-'))
  keys = await ensureDevelopmentKeys(tools, { dir: join(dir, 'keys') })
  await mkdir(join(dir, 'etc'))
  await mkdir(join(dir, 'data'))
  await writeFile(join(dir, 'etc/keyring.pem'), keys.keyring)
})
afterAll(() => rm(dir, { recursive: true, force: true }))

function systemConf(): string {
  const claim = evaluate(boards.rock64!.rootfs).evaluated!.claims.get('/etc/rauc/system.conf')
  return claim?.type === 'file' ? String(claim.file.body) : ''
}

/** With the keyring from where it is here. */
async function info(conf: string, signer: Signer): Promise<string> {
  await writeFile(join(dir, 'etc/system.conf'), conf.replace('/etc/rauc/keyring.pem', '/device/keyring.pem'))
  const payload = await smallPayload(join(dir, 'payload'))
  await signedBundle(tools, { payload, signer, outPath: join(dir, 'etc/bundle.raucb') })
  const { stdout } = await tools.run({
    argv: ['/usr/bin/rauc', '--conf=/device/system.conf', 'info', '/device/bundle.raucb'],
    purpose: 'to read the device configuration',
    mounts: [
      { hostPath: join(dir, 'etc'), guestPath: '/device', writable: false },
      { hostPath: join(dir, 'data'), guestPath: '/data', writable: true },
    ],
    timeoutMs: 60_000,
  })
  return stdout
}

test('RAUC reads it, and takes a bundle of the signer in the keyring', async () => {
  expect(await info(systemConf(), keys.signer)).toMatch(/Compatible:\s+'atomixos-rock64'/)
})

test('it refuses a revoked signer', async () => {
  await expect(info(systemConf(), keys.revokedSigner)).rejects.toThrow('certificate revoked')
})

test('a key that RAUC does not know would be noticed here', async () => {
  const conf = systemConf().replace('[keyring]', '[keyring]\nno-such-key=1')
  await expect(info(conf, keys.signer)).rejects.toThrow("Invalid key 'no-such-key' in group '[keyring]'")
})

test('the keyring is in the image where system.conf says', async () => {
  expect(evaluate(boards.rock64!.rootfs).evaluated!.claims.has('/etc/rauc/keyring.pem')).toBe(true)
  expect(systemConf()).toContain('path=/etc/rauc/keyring.pem\n')
  expect(await readFile(join(dir, 'etc/keyring.pem'), 'utf8')).toContain('BEGIN X509 CRL')
})
