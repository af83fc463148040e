import { mkdir, readFile, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { quadletFolder, quadletRuntimePath } from '@atomixos/config'
import { parseQuadletRuntime } from '../activation/quadlets.ts'
import { lastLine, runProgram } from '../run-program.ts'

/** Where Quadlet looks for units of root that are not part of the image. */
const rootfulFolder = '/run/containers/systemd'

/** Makes systemd know the containers of the configuration, and has it start them. */
export async function activate(): Promise<number> {
  const entries = parse(await readFile(quadletRuntimePath, 'utf8'))
  const rootful = entries.filter(({ mode }) => mode === 'rootful')
  await rm(rootfulFolder, { recursive: true, force: true })
  await mkdir(rootfulFolder, { recursive: true })
  for (const { unit } of rootful) await symlink(join(quadletFolder, unit), join(rootfulFolder, unit))
  await systemctl('daemon-reload')
  const services = rootful.filter(({ unit }) => unit.endsWith('.container')).map(({ service }) => service)
  // The health check looks at how it goes.
  if (services.length > 0) await systemctl('start', '--no-block', '--', ...services)
  return 0
}

function parse(text: string): ReturnType<typeof parseQuadletRuntime> {
  try {
    return parseQuadletRuntime(text)
  } catch (error) {
    throw new Error(`${quadletRuntimePath}: ${(error as Error).message}`)
  }
}

async function systemctl(...args: string[]): Promise<void> {
  const result = await runProgram(['/usr/bin/systemctl', ...args], { timeoutMs: 90_000 })
  if (result.exitCode !== 0) throw new Error(`systemctl ${args[0]}: ${lastLine(result)}`)
}
