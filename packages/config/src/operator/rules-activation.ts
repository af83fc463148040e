import { isTable } from './check-schema.ts'
import { nearest } from './nearest.ts'
import type { Tell } from './places.ts'

/** Of `[activation]`: its lists name containers, and none of them stands in two that exclude each other. */
export function checkActivation(activation: unknown, containers: unknown, tell: Tell): void {
  if (!isTable(activation)) return
  const known = isTable(containers) && isTable(containers['container']) ? containers['container'] : undefined
  const listOf = (key: string): readonly unknown[] => (Array.isArray(activation[key]) ? activation[key] : [])
  for (const key of ['required', 'restart', 'allow_degraded']) {
    for (const [index, name] of listOf(key).entries()) {
      if (typeof name !== 'string' || known === undefined || Object.hasOwn(known, name)) continue
      const names = Object.keys(known)
      const meant = nearest(name, names)
      const hint =
        meant === undefined ? `there are: ${names.slice(0, 12).join(', ')}` : `did you mean "${meant}"?`
      tell(['activation', key, index], `there is no container ${JSON.stringify(name.slice(0, 200))}`, hint)
    }
  }
  const required = new Set(listOf('required'))
  for (const [index, name] of listOf('allow_degraded').entries()) {
    if (typeof name === 'string' && required.has(name)) {
      tell(
        ['activation', 'allow_degraded', index],
        `"${name}" is in required as well`,
        'it may fail, or it has to run: take it out of one list',
      )
    }
  }
}
