import { builtInPaths, networkdRuntimeFolder, runtimePaths } from '@atomixos/config'

/** What each kind of step needs to know. */
export interface StepArguments {
  readonly write: { readonly path: string; readonly text: string }
  readonly remove: { readonly path: string }
  /** One transaction: the rules of this file in place of those that hold. */
  readonly loadFirewall: { readonly path: string }
  /** systemd-networkd sets up again the links whose file is another one now, and no other. */
  readonly reloadLinks: { readonly files: readonly string[] }
  readonly reloadUnit: { readonly unit: string }
  readonly restartUnit: { readonly unit: string }
}

export type Step = {
  readonly [Name in keyof StepArguments]: { readonly step: Name } & StepArguments[Name]
}[keyof StepArguments]

export interface PlanInput {
  /** Path to text of what an earlier run has rendered. */
  readonly current: ReadonlyMap<string, string>
  readonly wanted: ReadonlyMap<string, string>
  /** Units that run and so know nothing of what changes; at a start they come later. */
  readonly running: ReadonlySet<string>
  /** An earlier run did not come to its end: nobody knows what it has done of its plan. */
  readonly unfinished: boolean
  /** Somebody asked: the rules are loaded although they may be the same, in case they were changed by hand. */
  readonly reload: boolean
}

export const networkUnits = {
  networkd: 'systemd-networkd.service',
  resolved: 'systemd-resolved.service',
  dnsmasq: 'dnsmasq.service',
  chrony: 'chrony.service',
} as const

/** From what there is to what there has to be; what does not differ is left alone. Pure. */
export function planNetwork({ current, wanted, running, unfinished, reload }: PlanInput): Step[] {
  const paths = [...new Set([...current.keys(), ...wanted.keys()])].sort()
  const different = paths.filter((path) => current.get(path) !== wanted.get(path))
  const linkFiles = (unfinished ? paths : different).filter((path) =>
    path.startsWith(`${networkdRuntimeFolder}/`),
  )
  const touched = (...of: string[]) => unfinished || of.some((path) => different.includes(path))
  const steps: Step[] = different.map((path) => {
    const text = wanted.get(path)
    return text === undefined ? { step: 'remove', path } : { step: 'write', path, text }
  })
  // The kernel may hold other rules than the file says: always, unless the built-in ones hold from the start.
  if (wanted.has(runtimePaths.firewall) || touched(runtimePaths.firewall) || reload) {
    const path = wanted.has(runtimePaths.firewall) ? runtimePaths.firewall : builtInPaths.firewall
    steps.push({ step: 'loadFirewall', path })
  }
  if ((unfinished || linkFiles.length > 0) && running.has(networkUnits.networkd))
    steps.push({ step: 'reloadLinks', files: linkFiles })
  if (touched(runtimePaths.resolved) && running.has(networkUnits.resolved))
    steps.push({ step: 'reloadUnit', unit: networkUnits.resolved })
  if (touched(runtimePaths.dnsmasq, runtimePaths.namePattern) && running.has(networkUnits.dnsmasq))
    steps.push({ step: 'restartUnit', unit: networkUnits.dnsmasq })
  if (touched(runtimePaths.chrony) && running.has(networkUnits.chrony))
    steps.push({ step: 'restartUnit', unit: networkUnits.chrony })
  return steps
}
