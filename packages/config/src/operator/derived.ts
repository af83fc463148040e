import type { OperatorConfig } from './contract.ts'

/** Types of derived files that no other part of this package has. */

/** An entry of `users.json`. */
export interface DerivedUser {
  readonly name: string
  readonly isAdmin: boolean
  readonly shell: 'bash' | 'sh' | 'zsh'
}

/** `activation-policy.json` */
export interface ActivationPolicy {
  readonly required: readonly string[]
  readonly timeout_seconds: number
  readonly settle_seconds: number
  readonly restart: readonly string[]
  /** Left out: any container that is not required may fail. */
  readonly allow_degraded?: readonly string[]
  readonly strategy: 'rollback'
}

/** By name, with what was left out at its default. */
export function usersOf(config: OperatorConfig): DerivedUser[] {
  return Object.entries(config.users)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { isAdmin = false, shell }]) => ({
      name,
      isAdmin,
      shell: shell ?? (isAdmin ? 'zsh' : 'bash'),
    }))
}

export function activationPolicyOf({ activation }: OperatorConfig): ActivationPolicy {
  const { required, restart = [], allow_degraded, timeout_seconds = 300, settle_seconds = 0 } = activation
  return {
    required,
    timeout_seconds,
    settle_seconds,
    restart,
    ...(allow_degraded !== undefined && { allow_degraded }),
    strategy: 'rollback',
  }
}

/** Reads `users.json` back. Throws an Error that says what is wrong: nobody is let in by a list that is not as rendered. */
export function parseUsers(text: string): DerivedUser[] {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) throw new Error('it is not a list')
  return value.map((entry: Partial<Record<keyof DerivedUser, unknown>> | null, index) => {
    const { name, isAdmin, shell } = entry ?? {}
    if (typeof name !== 'string' || !/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) {
      throw new Error(`entry ${index} has no proper "name"`)
    }
    if (typeof isAdmin !== 'boolean') throw new Error(`entry ${index} (${name}) has no proper "isAdmin"`)
    if (shell !== 'bash' && shell !== 'sh' && shell !== 'zsh') {
      throw new Error(`entry ${index} (${name}) has no proper "shell"`)
    }
    return { name, isAdmin, shell }
  })
}

/** Reads `activation-policy.json` back. Throws an Error that says what is wrong. */
export function parseActivationPolicy(text: string): ActivationPolicy {
  const value = JSON.parse(text) as Partial<Record<keyof ActivationPolicy, unknown>> | null
  const listOf = (key: 'required' | 'restart' | 'allow_degraded'): string[] => {
    const list = value?.[key]
    if (!Array.isArray(list) || list.some((name) => typeof name !== 'string')) {
      throw new Error(`it has no proper "${key}"`)
    }
    return list as string[]
  }
  const numberOf = (key: 'timeout_seconds' | 'settle_seconds', min: number, max: number): number => {
    const number = value?.[key]
    if (typeof number !== 'number' || !Number.isInteger(number) || number < min || number > max) {
      throw new Error(`it has no proper "${key}"`)
    }
    return number
  }
  if (value?.strategy !== 'rollback') throw new Error('it has no proper "strategy"')
  return {
    required: listOf('required'),
    timeout_seconds: numberOf('timeout_seconds', 1, 3600),
    settle_seconds: numberOf('settle_seconds', 0, 300),
    restart: listOf('restart'),
    ...(value.allow_degraded !== undefined && { allow_degraded: listOf('allow_degraded') }),
    strategy: 'rollback',
  }
}
