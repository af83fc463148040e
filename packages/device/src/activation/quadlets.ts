/** A Quadlet of the configuration, as `quadlet-runtime.json` lists it. */
export interface QuadletEntry {
  /** File name below the configuration's quadlet folder. */
  readonly unit: string
  /** The service that Quadlet makes of it. */
  readonly service: string
  readonly mode: 'rootful' | 'rootless'
}

const unitPattern = /^[A-Za-z0-9_][A-Za-z0-9_-]*\.(container|network|volume|build)$/
const servicePattern = /^[A-Za-z0-9_][A-Za-z0-9_.@-]*\.service$/

/** Throws an Error that says which entry is wrong: nothing is started from a list that is not as it was rendered. */
export function parseQuadletRuntime(text: string): QuadletEntry[] {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new Error('it is not a list')
  return value.map((entry: Partial<Record<keyof QuadletEntry, unknown>> | null, index) => {
    const { unit, service, mode } = entry ?? {}
    if (typeof unit !== 'string' || !unitPattern.test(unit))
      throw new Error(`entry ${index} has no proper "unit"`)
    if (typeof service !== 'string' || !servicePattern.test(service))
      throw new Error(`entry ${index} (${unit}) has no proper "service"`)
    if (mode !== 'rootful' && mode !== 'rootless')
      throw new Error(`entry ${index} (${unit}) has no proper "mode"`)
    return { unit, service, mode }
  })
}
