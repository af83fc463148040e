import type { Unit } from '@atomixos/image/definition/words.ts'

/** A script that runs once and that the start cannot do without: when it fails, the emergency unit takes over. */
export function requiredScript(options: {
  readonly description: string
  readonly path: string
  readonly after: string
  readonly before: string
  readonly requires: string
  readonly requiredBy: string
  readonly service: Unit['Service']
}): Unit {
  return {
    Unit: {
      Description: options.description,
      DefaultDependencies: false,
      Requires: options.requires,
      After: options.after,
      Before: `${options.before} shutdown.target`,
      Conflicts: 'shutdown.target',
      OnFailure: 'emergency.target',
      OnFailureJobMode: 'replace-irreversibly',
    },
    Service: { Type: 'oneshot', RemainAfterExit: true, ExecStart: options.path, ...options.service },
    Install: { RequiredBy: options.requiredBy },
  }
}
