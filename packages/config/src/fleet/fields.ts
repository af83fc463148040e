/** Fields of JSON that others have written. Pure; what is wrong is thrown as a FleetProtocolError with one line. */

import { parseSshKey } from '../operator/ssh-key.ts'

/** The other side said what is not in the protocol. */
export class FleetProtocolError extends Error {
  override readonly name = 'FleetProtocolError'
}

export type Fields = Readonly<Record<string, unknown>>

/** Keys that are not known are left alone: a later server may say more. */
export function parseObject(text: string, what: string): Fields {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new FleetProtocolError(`${what} is not JSON`)
  }
  return asObject(value, what)
}

export function asObject(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FleetProtocolError(`${what} is not a JSON object`)
  }
  return value as Fields
}

/** An own property: nothing that a prototype could have brought. */
function own(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined
}

export function textField(fields: Fields, name: string, pattern: RegExp): string {
  const value = own(fields, name)
  if (typeof value !== 'string' || !pattern.test(value)) {
    throw new FleetProtocolError(`"${name}" is missing, or not what it has to be`)
  }
  return value
}

export function wholeField(fields: Fields, name: string, range: { min: number; max: number }): number {
  const value = own(fields, name)
  if (!Number.isSafeInteger(value) || (value as number) < range.min || (value as number) > range.max) {
    throw new FleetProtocolError(`"${name}" is no whole number from ${range.min} to ${range.max}`)
  }
  return value as number
}

export function choiceField<T extends string>(fields: Fields, name: string, choices: readonly T[]): T {
  const value = own(fields, name)
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw new FleetProtocolError(`"${name}" is none of ${choices.join(', ')}`)
  return found
}

/** `ssh-ed25519 BASE64`, without a comment: the only type of key that the protocol has. */
export function keyField(fields: Fields, name: string): string {
  const text = textField(fields, name, /^ssh-ed25519 [A-Za-z0-9+/]{60,80}={0,2}$/)
  const key = parseSshKey(text)
  if ('problem' in key) throw new FleetProtocolError(`"${name}": ${key.problem}`)
  return `${key.type} ${key.blob}`
}

/** undefined where there is `null` or nothing. */
export function optionalField<T>(
  fields: Fields,
  name: string,
  parse: (fields: Fields, name: string) => T,
): T | undefined {
  const value = own(fields, name)
  return value === undefined || value === null ? undefined : parse(fields, name)
}

export function objectField(fields: Fields, name: string): Fields {
  return asObject(own(fields, name), `"${name}"`)
}
