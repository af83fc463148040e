import type { Module } from '@atomixos/image/definition/words.ts'

/** zsh for administrators, bash for others, as the operator contract has it. */
export const shells: Module = {
  name: 'shells',
  packages: ['zsh'],
  leaveOut: {
    '/usr/share/zsh/functions/Completion/**': 'completions of thousands of programs that are not here',
  },
}
