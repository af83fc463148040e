import { configFolder } from '@atomixos/config'
import type { QuadletEntry } from './quadlets.ts'

export type Mode = QuadletEntry['mode']

/** A Quadlet with what its file says. */
export interface Quadlet extends QuadletEntry {
  readonly text: string
}

export interface QuadletPlan {
  /** Services that end before anything is changed. */
  readonly stop: readonly QuadletEntry[]
  /** Networks of podman that are made anew with other settings, or not at all. */
  readonly removeNetworks: readonly { readonly mode: Mode; readonly name: string }[]
  /** Whether a file differs, so that systemd has to be told. */
  readonly differs: boolean
}

/**
 * From the Quadlets that are active to those that have to be: what stays as it is runs on. What names a file of the
 * configuration is started anew, since the folder it looks into is another one now. Pure.
 */
export function planQuadlets(active: readonly Quadlet[], wanted: readonly Quadlet[]): QuadletPlan {
  const wantedText = new Map(wanted.map((quadlet) => [keyOf(quadlet), quadlet.text]))
  const changed = active.filter((quadlet) => wantedText.get(keyOf(quadlet)) !== quadlet.text)
  const stop = new Map(changed.map((quadlet) => [keyOf(quadlet), quadlet]))
  for (const quadlet of active) {
    if (quadlet.text.includes(`${configFolder}/`)) stop.set(keyOf(quadlet), quadlet)
  }
  for (let before = -1; before !== stop.size; ) {
    before = stop.size
    for (const quadlet of active) {
      if (uses(quadlet, stop)) stop.set(keyOf(quadlet), quadlet)
    }
  }
  const activeKeys = new Set(active.map(keyOf))
  return {
    stop: [...stop.values()].map(({ unit, service, mode }) => ({ unit, service, mode })),
    removeNetworks: changed.flatMap((quadlet) =>
      quadlet.unit.endsWith('.network') ? [{ mode: quadlet.mode, name: networkNameOf(quadlet) }] : [],
    ),
    differs: changed.length > 0 || wanted.some((quadlet) => !activeKeys.has(keyOf(quadlet))),
  }
}

function keyOf({ mode, unit }: QuadletEntry): string {
  return `${mode} ${unit}`
}

/** Directives name another Quadlet by its file name, as a word of their value. */
function uses({ mode, text }: Quadlet, others: ReadonlyMap<string, Quadlet>): boolean {
  return text.split(/[\s=,:]+/).some((word) => others.has(`${mode} ${word}`))
}

function networkNameOf({ unit, text }: Quadlet): string {
  const own = /^NetworkName=(.+)$/m.exec(text)?.[1]
  return own ?? `systemd-${unit.slice(0, unit.lastIndexOf('.'))}`
}
