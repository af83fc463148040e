import type { Machine } from '@atomixos/machine'

/** Ctrl-], as telnet and machinectl use it: no program on a console needs it. */
const escapeByte = 0x1d

/** The console and this terminal are one until the machine is off, Ctrl-] is pressed, or input ends in a power-off. */
export async function joinConsole(machine: Machine, signal: AbortSignal): Promise<void> {
  const unsubscribe = machine.console.subscribe((bytes) => process.stdout.write(bytes))
  const { stdin } = process
  const stop = new AbortController()
  const stopped = AbortSignal.any([signal, stop.signal])
  const onInput = (bytes: Buffer) => {
    const end = bytes.indexOf(escapeByte)
    const typed = end === -1 ? bytes : bytes.subarray(0, end)
    if (typed.length > 0) void machine.sendConsole(typed)
    if (end !== -1) stop.abort()
  }
  if (stdin.isTTY) stdin.setRawMode(true)
  stdin.on('data', onInput)
  stdin.resume()
  try {
    await machine.waitForPowerOff({ timeoutMs: 24 * 3600 * 1000, signal: stopped })
  } catch (error) {
    if (!stopped.aborted) throw error
  } finally {
    stdin.off('data', onInput)
    stdin.pause()
    if (stdin.isTTY) stdin.setRawMode(false)
    unsubscribe()
  }
}
