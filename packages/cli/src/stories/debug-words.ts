import { join } from 'node:path'
import type { Machine } from '@atomixos/machine'
import { consoleShellCredentials } from '../console-shell.ts'

/** The gateway as the prompt of `e2e debug` knows it: a machine of the stories, and two words for a person at a terminal. */
export interface DebugMachine extends Omit<Machine, 'start' | 'screenshot'> {
  /** Power on; says so when it is on already. */
  start(): Promise<string | undefined>
  /** A root shell on the serial console, in this terminal, until Ctrl-] is pressed. */
  shell(): Promise<void>
  /** PNG of the display, in the session's folder when it is only a name; gives its path. */
  screenshot(name?: string): Promise<string>
}

const shellUnit = 'debug-shell.service'

/** The machine's own words go to the machine: it has private fields, which a copy would not have. */
export function debugMachine(
  machine: Machine,
  { dir, join: joinTerminal }: { readonly dir: string; readonly join: (machine: Machine) => Promise<void> },
): DebugMachine {
  const more: Readonly<Record<string, unknown>> = {
    async start() {
      if (machine.running) return 'it runs already'
      await machine.start()
      return undefined
    },
    async shell() {
      await openConsoleShell(machine)
      await joinTerminal(machine)
    },
    async screenshot(name = 'screenshot') {
      const path = name.includes('/') ? name : join(dir, name.endsWith('.png') ? name : `${name}.png`)
      await machine.screenshot(path)
      return path
    },
  }
  return new Proxy(machine, {
    get(target, property) {
      if (typeof property === 'string' && Object.hasOwn(more, property)) return more[property]
      const value = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  }) as unknown as DebugMachine
}

/** The unit that `./atomixos vm` has a hypervisor hand over, put into the running machine from outside. */
async function openConsoleShell(machine: Machine): Promise<void> {
  const unit = Object.entries(consoleShellCredentials).find(([name]) =>
    name.startsWith('systemd.extra-unit.'),
  )![1]
  await machine.writeFile(`/run/systemd/system/${shellUnit}`, unit)
  await machine.succeed(`systemctl daemon-reload && systemctl start --no-block ${shellUnit}`, {
    timeoutMs: 120_000,
  })
}

export function debugHelp(story: string): string {
  return `gateway.start()                              power on
gateway.waitForUnit('multi-user.target')     until it is up
gateway.succeed('rauc status')               a command as root; gateway.fail(...) for one that must not work
gateway.shell()                              a root shell in this terminal; Ctrl-] comes back
gateway.console.tail(20)                     what the serial console said last
gateway.screenshot('name')                   the display, when it was booted here and not restored
gateway.crash()  .reset()  .reboot()  .shutdown()
status()  events()                           atomixctl's, as objects
network.provider.succeed(['ip', 'address'])  on the other side of the WAN
bundle('next')                               path of a release that the story ${story} installs
help()  .exit (or Ctrl-D)

Everything that docs/machine.md has works; what takes time is waited for. Ctrl-C stops waiting.
`
}
