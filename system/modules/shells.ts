import type { Module } from '@atomixos/image/definition/words.ts'

/** zsh for administrators, bash for others, as the operator contract has it. */
export const shells: Module = {
  name: 'shells',
  packages: ['zsh'],
  leaveOut: {
    '/usr/share/zsh/functions/Completion/**': 'completions of thousands of programs that are not here',
    '/usr/share/zsh/{help,5.9/scripts,scripts}/**': 'documentation and installation',
    '/usr/lib/aarch64-linux-gnu/zsh/5.9/zsh/{compctl,complete,complist,computil,curses,example,zftp}.so':
      'completion, and modules for programs that are not here',
    '/usr/lib/aarch64-linux-gnu/zsh/5.9/zsh/db/**': 'needs a library that is not here',
  },
}
