import { runProgram } from '../run-program.ts'
import { installBundle, readBundleInfo } from '../update/install.ts'
import { UsageError } from '../usage-error.ts'

export async function update(args: readonly string[], options: ReadonlySet<string>): Promise<number> {
  const [action, file, ...rest] = args
  if (action === 'install' && file !== undefined && rest.length === 0) return installFile(file, options)
  throw new UsageError('say "update check", "update poll" or "update install FILE"')
}

async function installFile(file: string, options: ReadonlySet<string>): Promise<number> {
  const info = await readBundleInfo(file).catch((error: Error) => {
    throw new Error(`${file}: ${error.message}`)
  })
  process.stdout.write(`installing version ${info.version}\n`)
  const outcome = await installBundle(file, {
    version: info.version,
    allowOlder: options.has('--allow-older'),
  })
  if (!outcome.installed) throw new Error(`version ${info.version} was not installed: ${outcome.reason}`)
  process.stdout.write(`version ${info.version} is in slot ${outcome.slot}\n`)
  if (options.has('--no-restart')) {
    process.stdout.write('it is tried at the next start\n')
    return 0
  }
  process.stdout.write('restarting\n')
  return (await runProgram(['/usr/bin/systemctl', 'reboot'], { timeoutMs: 30_000 })).exitCode ?? 1
}
