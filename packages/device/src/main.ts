/** `atomixctl`: what a person on the console or over SSH asks the device. */
import { observe } from './observe.ts'
import { parseStatus, renderStatus } from './status.ts'

const help = `Shows the state of this device.

  atomixctl status          slot, version, boot tries, data, failed units, on one screen
  atomixctl status --json   the same for a program
  atomixctl version         the version of the running system, one line

Exit codes: 0 done, 1 failed, 2 the arguments are wrong.
`

async function main(args: readonly string[]): Promise<number> {
  const [command = 'help', ...rest] = args
  if (command === 'help' || command === '--help' || command === '-h') {
    process.stdout.write(help)
    return 0
  }
  const json = rest.includes('--json')
  const unknown = rest.filter((argument) => argument !== '--json')
  if (unknown.length > 0 || !['status', 'version'].includes(command)) {
    const wrong = unknown.length > 0 ? `unknown argument "${unknown[0]}"` : `unknown command "${command}"`
    process.stderr.write(`atomixctl: ${wrong}\n  run "atomixctl help" for what there is\n`)
    return 2
  }
  const status = parseStatus(await observe())
  if (command === 'version')
    process.stdout.write(json ? `${JSON.stringify(status.version)}\n` : `${status.version}\n`)
  else process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status))
  return 0
}

// No top-level await: the bundle is CommonJS.
main(process.argv.slice(2))
  .catch((error: Error) => {
    process.stderr.write(`atomixctl: ${error.message}\n`)
    return 1
  })
  .then((exitCode) => {
    process.exitCode = exitCode
  })
