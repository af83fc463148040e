import { readFile } from 'node:fs/promises'
import { type SlotName, slotOfCommandLine } from '@atomixos/config'

/** Who we are: the running slot and version. */
export interface SystemFacts {
  /** undefined when the system was not started by our selector. */
  readonly slot: SlotName | undefined
  readonly version: string
  /** RAUC's compatible of this image. */
  readonly compatible: string
}

export async function readSystemFacts(): Promise<SystemFacts> {
  const [commandLine, osRelease] = await Promise.all([
    readFile('/proc/cmdline', 'utf8'),
    readFile('/etc/os-release', 'utf8'),
  ])
  const release = parseAssignments(osRelease)
  return {
    slot: slotOfCommandLine(commandLine),
    version: release.IMAGE_VERSION ?? 'unknown',
    compatible: release.IMAGE_ID ?? 'unknown',
  }
}

/** `KEY=value` lines, with or without double quotes; other lines are ignored. */
export function parseAssignments(text: string): Record<string, string> {
  const assignments: Record<string, string> = {}
  for (const line of text.split('\n')) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line)
    if (match) assignments[match[1]!] = match[2]!.replace(/^"(.*)"$/, '$1')
  }
  return assignments
}
