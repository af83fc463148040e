import { UserError } from '../errors.ts'

const explanations: Readonly<Record<string, (dir: string) => [message: string, hint: string]>> = {
  ENOSPC: (dir) => [
    `no space left on the disk that holds ${dir}`,
    'free some space there and run the command again',
  ],
  EDQUOT: (dir) => [
    `your disk quota is used up in ${dir}`,
    'free some space there and run the command again',
  ],
  EROFS: (dir) => [
    `${dir} is on a disk that is mounted read-only`,
    'make it writable and run the command again',
  ],
  EACCES: (dir) => [
    `${dir} may not be written by this user`,
    'change its owner, or run as the user who made it',
  ],
}

/** The clear form of a failure to write below `dir`; undefined when `error` is something else. */
export function diskError(error: unknown, dir: string): UserError | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? ''
  const explain = Object.hasOwn(explanations, code) ? explanations[code] : undefined
  if (explain === undefined) return undefined
  const [message, hint] = explain(dir)
  return new UserError(message, { hint, cause: error })
}
