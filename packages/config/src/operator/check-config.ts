import { checkSchema, isTable } from './check-schema.ts'
import { type OperatorConfig, operatorSchema } from './contract.ts'
import { type Finding, Findings } from './places.ts'
import { checkActivation } from './rules-activation.ts'
import { checkContainers } from './rules-containers.ts'
import { checkNetwork } from './rules-network.ts'
import { checkUsers } from './rules-users.ts'

export interface Checked {
  /** Undefined with a single problem: a configuration is taken whole or not at all. */
  readonly config: OperatorConfig | undefined
  readonly problems: readonly Finding[]
  /** Allowed, and perhaps not what was meant. */
  readonly warnings: readonly Finding[]
}

/** Everything that is wrong with a value that may be a configuration, at once. Never throws. Pure. */
export function checkConfig(value: unknown): Checked {
  const problems = new Findings()
  const warnings = new Findings()
  checkSchema(operatorSchema, value, [], problems.tell)
  problems.settle()
  if (isTable(value)) {
    checkUsers(value['users'], problems.tell, warnings.tell)
    checkNetwork(value['network'], problems, warnings.tell)
    checkActivation(value['activation'], value['containers'], problems.tell)
    checkContainers(value, problems.tell, warnings.tell)
  }
  return {
    config: problems.list.length === 0 ? (value as OperatorConfig) : undefined,
    problems: problems.list,
    warnings: warnings.list,
  }
}
