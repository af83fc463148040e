import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { UserError } from '@atomixos/image/errors.ts'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import type { Site } from '../docs/site.ts'

export function addDocs(program: Command, context: CommandContext): void {
  const docs = program
    .command('docs')
    .description('the documentation as a site: the pages of docs/, and a reference made from the code')
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos docs build
  ./atomixos docs serve
`,
    )
  addBuild(docs, context)
  addServe(docs, context)
}

interface BuildOptions {
  readonly out?: string
  readonly json?: boolean
}

function addBuild(docs: Command, context: CommandContext): void {
  docs
    .command('build')
    .description('write the site into a folder, after every link in it was checked')
    .option('--out <DIR>', 'a new folder, or one with an older site (default: dist/docs)')
    .option('--json', 'the folder, and how much is in it, as JSON')
    .addHelpText(
      'after',
      `
Plain files with relative links: any web server hands them out from any folder, and a browser opens
index.html from a disk. Nothing is loaded from other hosts. Same sources, same bytes.

Examples:
  ./atomixos docs build
  ./atomixos docs build --out /srv/www/atomixos
`,
    )
    .action((options: BuildOptions) => runBuild(docs, context, options))
}

async function runBuild(docs: Command, context: CommandContext, options: BuildOptions): Promise<void> {
  const { reporter, workspace } = context
  const { writeSite } = await import('../docs/write-site.ts')
  const outDir = options.out === undefined ? join(workspace.distDir, 'docs') : resolve(options.out)
  const task = reporter.task('documentation')
  try {
    const site = await readSite(docs, context)
    if (site.problems.length > 0) {
      for (const problem of site.problems) reporter.info(problem)
      const count = site.problems.length === 1 ? 'one problem' : `${site.problems.length} problems`
      throw new UserError(`the documentation has ${count}; nothing was written`, {
        hint: 'correct the places above, then build again',
      })
    }
    context.signal.throwIfAborted()
    await writeSite(site, { rootDir: workspace.rootDir, outDir })
    task.done(`${site.pages.size} pages in ${outDir}`)
    if (!options.json) return
    const sizeBytes = [...site.files.values()].reduce((sum, content) => sum + Buffer.byteLength(content), 0)
    const summary = { dir: outDir, pages: site.pages.size, sizeBytes }
    process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`)
  } catch (error) {
    task.failed()
    throw error
  }
}

function addServe(docs: Command, context: CommandContext): void {
  docs
    .command('serve')
    .description('show the site on this machine; a page that is loaded again has what was written meanwhile')
    .option('--port <N>', 'where, on 127.0.0.1; 0 for any free one', parsePort, 8000)
    .addHelpText(
      'after',
      `
Problems with links are told here, and do not stop it. Ctrl-C does.

Examples:
  ./atomixos docs serve
  ./atomixos docs serve --port 0
`,
    )
    .action((options: { port: number }) => runServe(docs, context, options.port))
}

async function runServe(docs: Command, context: CommandContext, port: number): Promise<void> {
  const { reporter, signal, workspace } = context
  const { serveSite } = await import('../docs/serve-site.ts')
  let told = ''
  const read = async () => {
    const site = await readSite(docs, context)
    const problems = site.problems.join('\n')
    if (problems !== told && problems !== '') reporter.warn(`\n${problems}`)
    told = problems
    return site
  }
  await using server = await serveSite({
    rootDir: workspace.rootDir,
    port,
    read,
    onFailure: (error) => reporter.warn(error instanceof Error ? error.message : String(error)),
  })
  reporter.info(`http://127.0.0.1:${server.port}/ has the documentation; Ctrl-C ends it`)
  if (!signal.aborted) await once(signal, 'abort')
}

/** Loaded only here: no other command has a use for a Markdown parser. */
async function readSite(docs: Command, { workspace, signal }: CommandContext): Promise<Site> {
  const [{ readSources }, { assembleSite }] = await Promise.all([
    import('../docs/read-sources.ts'),
    import('../docs/site.ts'),
  ])
  return assembleSite(await readSources(workspace, { program: docs.parent!, signal }))
}

function parsePort(text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port <= 65535) return port
  throw new InvalidArgumentError('a whole number from 0 to 65535')
}
