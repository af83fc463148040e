import { access, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  firewallInboundPath,
  hostNetworkPath,
  isRenderedNetworkFile,
  lanSettingsPath,
  type NetworkFiles,
  networkdRuntimeFolder,
  runtimePaths,
  sshOnWanPath,
} from '@atomixos/config'
import { readOptional } from '../durable-file.ts'

/** What the configuration says. */
export async function readNetworkFiles(): Promise<NetworkFiles> {
  const [lan, firewall, host, sshOnWan] = await Promise.all([
    readSettings(lanSettingsPath),
    readSettings(firewallInboundPath),
    readSettings(hostNetworkPath),
    access(sshOnWanPath).then(
      () => true,
      () => false,
    ),
  ])
  return { lan, firewall, host, sshOnWan }
}

/** A file that is there and cannot be read must not pass for one that is not there. */
async function readSettings(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : `unreadable: ${code}`
  }
}

/** What an earlier run has rendered since the start. */
export async function readRenderedFiles(): Promise<Map<string, string>> {
  const names = await readdir(networkdRuntimeFolder).catch(() => [])
  const paths = [
    ...Object.values(runtimePaths),
    ...names.filter(isRenderedNetworkFile).map((name) => join(networkdRuntimeFolder, name)),
  ]
  const texts = await Promise.all(paths.map(readOptional))
  return new Map(paths.flatMap((path, index) => (texts[index] === undefined ? [] : [[path, texts[index]]])))
}
