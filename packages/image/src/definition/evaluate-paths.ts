import type { Problem } from './problems.ts'
import { renderUnit } from './unit-text.ts'
import type { Directory, File, Module, Symlink } from './words.ts'

export const unitFolder = '/usr/lib/systemd/system'

/** A path that a module owns, and what it puts there. */
export type Claim = { readonly module: string } & (
  | { readonly type: 'file'; readonly file: File }
  | { readonly type: 'directory'; readonly directory: Directory }
  | { readonly type: 'symlink'; readonly symlink: Symlink }
)

/** Every path that modules own; two owners of one path are a problem, unless both want the same folder. */
export function claimPaths(modules: readonly Module[], problems: Problem[]): ReadonlyMap<string, Claim> {
  const claims = new Map<string, Claim>()
  for (const module of modules) {
    for (const [path, claim] of claimsOf(module)) {
      const fault = pathFault(path)
      if (fault !== undefined) problems.push({ where: path, message: `module ${module.name}: ${fault}` })
      const earlier = claims.get(path)
      if (earlier === undefined) claims.set(path, claim)
      else if (!sameDirectory(earlier, claim)) problems.push(conflict(path, earlier, claim))
    }
  }
  return claims
}

function* claimsOf(module: Module): Generator<readonly [string, Claim]> {
  const name = module.name
  for (const [path, file] of Object.entries(module.files ?? {}))
    yield [path, { module: name, type: 'file', file }]
  for (const [path, directory] of Object.entries(module.directories ?? {}))
    yield [path, { module: name, type: 'directory', directory }]
  for (const [path, link] of Object.entries(module.symlinks ?? {})) {
    const symlink = typeof link === 'string' ? { target: link } : link
    yield [path, { module: name, type: 'symlink', symlink }]
  }
  for (const [unit, body] of Object.entries(module.units ?? {}))
    yield [`${unitFolder}/${unit}`, { module: name, type: 'file', file: { body: renderUnit(body) } }]
  for (const unit of Object.keys(module.mask ?? {}))
    yield [`/etc/systemd/system/${unit}`, { module: name, type: 'symlink', symlink: { target: '/dev/null' } }]
}

/** A file or link of one module where another needs a folder. */
export function nestedClaims(claims: ReadonlyMap<string, Claim>): Problem[] {
  const problems: Problem[] = []
  for (const [path, claim] of claims) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at)
      const above = claims.get(parent)
      if (above === undefined || above.type === 'directory') continue
      const message = `a ${above.type} of module ${above.module}, but module ${claim.module} puts ${path} below it`
      problems.push({ where: parent, message })
    }
  }
  return problems
}

function pathFault(path: string): string | undefined {
  if (!path.startsWith('/')) return 'the path is not absolute'
  if (path !== '/' && (path.endsWith('/') || path.includes('//') || /\/\.\.?(\/|$)/.test(path)))
    return 'the path is not normalised'
  const alias = /^\/(bin|sbin|lib|lib64)\//.exec(path)
  if (alias !== null) return `/${alias[1]} is a link; write /usr${path}`
  return undefined
}

function sameDirectory(a: Claim, b: Claim): boolean {
  if (a.type !== 'directory' || b.type !== 'directory') return false
  const key = ({ mode = 0o755, owner = 'root:root' }: Directory) => `${mode} ${owner}`
  return key(a.directory) === key(b.directory)
}

function conflict(path: string, first: Claim, second: Claim): Problem {
  const unit = /^\/(?:usr\/lib|etc)\/systemd\/system\/([^/]+)$/.exec(path)?.[1]
  const where = unit === undefined ? path : `unit ${unit}`
  if (first.module === second.module)
    return { where, message: `module ${first.module} declares it as a ${first.type} and as a ${second.type}` }
  return {
    where,
    message: `declared by module ${first.module} and by module ${second.module}`,
    hint: 'let one of them own it',
  }
}
