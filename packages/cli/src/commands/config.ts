import { randomBytes } from 'node:crypto'
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type Problem, parseLanSettings } from '@atomixos/config'
import { inMiB } from '@atomixos/config/operator/bundle.ts'
import {
  findKeys,
  folderMode,
  jsonSchema,
  type KeyReference,
  keyReferences,
  type OperatorConfig,
  type ParsedConfig,
  parseConfig,
  type RenderedFile,
  renderConfig,
  renderReference,
} from '@atomixos/config/operator/index.ts'
import { type ContainerImageName, containerImages } from '@atomixos/image/container-image/images.ts'
import { UserError } from '@atomixos/image/errors.ts'
import type { Command } from 'commander'
import { buildAppImages } from '../app-images.ts'
import { type BundleFolder, bundleFormatOf, readBundleFolder, writeBundle } from '../config/pack-bundle.ts'
import { showProblems } from '../config/show-problems.ts'
import type { CommandContext } from '../context.ts'

export function addConfig(program: Command, context: CommandContext): void {
  const config = program
    .command('config')
    .description('check what an operator wrote for a device, and see what becomes of it')
    .addHelpText(
      'after',
      `
docs/config.md tells what a config.toml may say.

Examples:
  ./atomixos config validate config.toml
  ./atomixos config pack docs/examples/proxy --out gateway.tar.zst
  ./atomixos config render config.toml --out rendered
  ./atomixos config explain activation.allow_degraded
  ./atomixos config schema --out config.schema.json
`,
    )
  addValidate(config)
  addPack(config, context)
  addImage(config, context)
  addRender(config, context)
  addLanRange(config)
  addExplain(config)
  addSchema(config)
}

interface JsonOption {
  readonly json?: boolean
}

function addValidate(config: Command): void {
  config
    .command('validate')
    .description('tell everything that is wrong with a config.toml, with line and column')
    .argument('<file>', 'the configuration; - for standard input')
    .option('--json', 'problems and warnings as JSON')
    .addHelpText(
      'after',
      `
Exit codes: 0 a device takes it, 1 it does not, 2 it cannot be read.

Examples:
  ./atomixos config validate config.toml
  ./atomixos config validate - --json < config.toml | jq '.problems[].path'
`,
    )
    .action(async (file: string, options: JsonOption) => {
      const { parsed, text } = await readConfig(file)
      const { problems, warnings } = parsed
      const valid = parsed.config !== undefined
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ valid, problems, warnings }, undefined, 2)}\n`)
      } else {
        const shown = [showProblems(file, text, warnings, 'warning'), showProblems(file, text, problems)]
        const verdict = valid ? 'a device takes it' : counted(problems.length, 'problem')
        const remarks = warnings.length === 0 ? '' : `, ${counted(warnings.length, 'warning')}`
        process.stdout.write(
          `${[...shown, `${file}: ${verdict}${remarks}\n`].filter((part) => part !== '').join('\n')}`,
        )
      }
      if (!valid) process.exitCode = 1
    })
}

function addPack(config: Command, context: CommandContext): void {
  config
    .command('pack')
    .description('make a bundle of config.toml and the files that belong to it')
    .argument('<dir>', 'a folder with config.toml and, if there are any, files/')
    .option('-o, --out <FILE>', 'the bundle, .tar.zst or .tar.gz; left out: NAME-OF-THE-FOLDER.tar.zst here')
    .option('--json', 'the bundle, its images, problems and warnings as JSON')
    .addHelpText(
      'after',
      `
Validates the configuration first, and the files: names, sizes, and whether somebody names the images in files/images/.
The same files give the same bytes. What else lies in the folder is not packed.

Exit codes: 0 packed, 1 a device would not take it and nothing was written, 2 it cannot be read or written.

Examples:
  ./atomixos config pack gateway
  ./atomixos config pack docs/examples/proxy --out proxy.tar.gz
  ./atomixos config pack gateway --json | jq -r .bundle.sha256
`,
    )
    .action(async (dir: string, options: JsonOption & { out?: string }) => {
      const outPath = options.out ?? `${basename(resolve(dir))}.tar.zst`
      const format = bundleFormatOf(outPath)
      if (format === undefined) {
        const hint = 'let it end in .tar.zst or .tar.gz'
        throw new UserError(`${outPath} does not say how it is compressed`, { hint, exitCode: 2 })
      }
      const folder = await readBundleFolder(dir)
      const taken = folder.parsed.config !== undefined && folder.problems.length === 0
      if (!options.json) process.stderr.write(showFolder(dir, folder))
      const packed = taken ? await pack(folder, { dir, outPath, format }) : undefined
      if (options.json) process.stdout.write(`${JSON.stringify(packJson(folder, packed), undefined, 2)}\n`)
      else if (packed !== undefined) {
        const carried = folder.images.flatMap(({ images, containers }) =>
          containers.length > 0 ? images : [],
        )
        const images = carried.length === 0 ? '' : `, with ${carried.join(', ')}`
        process.stdout.write(
          `${outPath}: ${inMiB(packed.sizeBytes)}, ${counted(folder.members.length, 'member')}${images}\n`,
        )
      }
      if (taken) return
      const problems = folder.parsed.problems.length + folder.problems.length
      if (options.json) process.exitCode = 1
      else throw new UserError(`${dir}: ${counted(problems, 'problem')}`, { hint: 'nothing was packed' })
    })

  async function pack(folder: BundleFolder, target: Omit<Parameters<typeof writeBundle>[1], 'signal'>) {
    const total = folder.members.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const task = context.reporter.task(`pack ${target.outPath}`)
    try {
      const packed = await writeBundle(folder, {
        ...target,
        signal: context.signal,
        onProgress: (done) => task.progress(Math.min(done, total), total, 'bytes'),
      })
      task.done()
      return packed
    } catch (error) {
      task.failed()
      if (error instanceof UserError || context.signal.aborted) throw error
      return unwritable(target.outPath)(error as Error)
    }
  }
}

function addImage(config: Command, context: CommandContext): void {
  const names = Object.keys(containerImages) as ContainerImageName[]
  config
    .command('image')
    .description("an image made of Debian's packages, as an archive for files/images/ of a bundle")
    .argument('<name>', `one of ${names.join(', ')}`)
    .option('-o, --out <FILE>', 'the archive; left out: NAME.tar here')
    .option('--json', 'its path and what a container calls it, as JSON')
    .addHelpText(
      'after',
      `
For the device, from the packages that the lock names; they are fetched the first time. No container engine is needed.

Examples:
  ./atomixos config image caddy --out gateway/files/images/caddy.tar
  ./atomixos config image busybox --json | jq -r .reference
`,
    )
    .action(async (asked: string, options: JsonOption & { out?: string }) => {
      const name = names.find((known) => known === asked)
      if (name === undefined) {
        throw new UserError(`there is no image "${asked}"`, {
          hint: `there are: ${names.join(', ')}`,
          exitCode: 2,
        })
      }
      const { path, reference } = (await buildAppImages(context, [name]))[name]!
      const outPath = options.out ?? `${name}.tar`
      await mkdir(dirname(resolve(outPath)), { recursive: true }).catch(unwritable(outPath))
      const partial = `${outPath}.${randomBytes(6).toString('hex')}`
      try {
        await copyFile(path, partial)
        await rename(partial, outPath)
      } catch (error) {
        unwritable(outPath)(error as Error)
      } finally {
        await rm(partial, { force: true })
      }
      process.stdout.write(
        options.json
          ? `${JSON.stringify({ path: outPath, reference }, undefined, 2)}\n`
          : `${outPath}: ${reference}\n`,
      )
    })
}

function showFolder(dir: string, folder: BundleFolder): string {
  const { source, parsed, problems, warnings, leftOut } = folder
  const file = join(dir, 'config.toml')
  const text = Buffer.from(source).toString('utf8')
  const located = ({ path, ...rest }: Problem) => ({ path: shownPath(path), ...rest })
  const shown = [
    showProblems(file, text, parsed.warnings, 'warning'),
    showProblems(dir, '', warnings.map(located), 'warning'),
    ...leftOut.map(
      (name) => `${dir}: ${shownPath(name)} is not packed: a bundle is config.toml and files/\n`,
    ),
    showProblems(file, text, parsed.problems),
    showProblems(dir, '', problems.map(located)),
  ]
  return shown.filter((part) => part !== '').join('\n')
}

/** Names of files must not speak to the terminal. */
function shownPath(path: string): string {
  return path.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?')
}

function packJson(
  folder: BundleFolder,
  packed: Awaited<ReturnType<typeof writeBundle>> | undefined,
): unknown {
  const { parsed, images, leftOut, members } = folder
  return {
    bundle: packed ?? null,
    members: members.length,
    ...{ images, leftOut },
    problems: [...parsed.problems, ...folder.problems],
    warnings: [...parsed.warnings, ...folder.warnings],
  }
}

function addRender(config: Command, context: CommandContext): void {
  config
    .command('render')
    .description('every file that a device derives from a config.toml')
    .argument('<file>', 'the configuration; - for standard input')
    .option('--out <DIR>', 'write them into this new folder; - for their text on standard output')
    .option('--json', 'path, mode, owner and content of each, as JSON')
    .addHelpText(
      'after',
      `
Without --out the files are listed. Written files have their modes, and whoever ran the command for an owner.

Examples:
  ./atomixos config render config.toml
  ./atomixos config render config.toml --out rendered
  ./atomixos config render config.toml --json | jq -r '."quadlet/web.container".content'
`,
    )
    .action(async (file: string, options: JsonOption & { out?: string }) => {
      const { config: valid, text } = await requireConfig(file)
      const files = renderConfig(valid, text)
      if (options.json) {
        process.stdout.write(`${JSON.stringify(Object.fromEntries(files), undefined, 2)}\n`)
      } else if (options.out === undefined) process.stdout.write(listed(files))
      else if (options.out === '-') process.stdout.write(printed(files))
      else {
        await writeFiles(options.out, files)
        context.reporter.close()
        process.stderr.write(`${options.out} has ${counted(files.size, 'file')}\n`)
      }
    })
}

function addLanRange(config: Command): void {
  config
    .command('lan-range')
    .description("the LAN's gateway and the addresses that are given to machines")
    .argument('<file>', 'the configuration; - for standard input')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  ./atomixos config lan-range config.toml\n')
    .action(async (file: string, options: JsonOption) => {
      const { config: valid } = await requireConfig(file)
      const rendered = renderConfig(valid).get('lan-settings.json')?.content ?? '{}'
      const { gatewayCidr, dhcpStart, dhcpEnd, domain } = parseLanSettings(
        'lan-settings.json',
        rendered,
      ).settings
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ gatewayCidr, dhcpStart, dhcpEnd, domain }, undefined, 2)}\n`)
      } else {
        process.stdout.write(
          `gateway  ${gatewayCidr}\nmachines ${dhcpStart} to ${dhcpEnd}\ndomain   ${domain}\n`,
        )
      }
    })
}

function addExplain(config: Command): void {
  config
    .command('explain')
    .description('what a key of config.toml means, its type, what holds when it is left out')
    .argument('[key]', 'a key or its last part; left out: all of them, in a line each')
    .option('--json', 'as JSON')
    .option('--markdown', 'all of them, and what each directive may be, as docs/config.md has them')
    .addHelpText(
      'after',
      `
Examples:
  ./atomixos config explain
  ./atomixos config explain network.interfaces.eth0.mode
  ./atomixos config explain settle_seconds
  ./atomixos config explain PublishPort
`,
    )
    .action((key: string | undefined, options: JsonOption & { markdown?: boolean }) => {
      if (options.markdown) {
        process.stdout.write(renderReference())
        return
      }
      const found = key === undefined ? keyReferences() : foundKeys(key)
      if (options.json) process.stdout.write(`${JSON.stringify(found, undefined, 2)}\n`)
      else if (key === undefined) process.stdout.write(overview(found))
      else process.stdout.write(found.map(explained).join('\n'))
    })
}

function addSchema(config: Command): void {
  config
    .command('schema')
    .description('JSON Schema of config.toml, for editors')
    .option('--out <FILE>', 'into this file; left out: to standard output')
    .addHelpText(
      'after',
      `
Taplo, and with it VS Code, reads it where the first line of a config.toml is: #:schema ./config.schema.json

Examples:
  ./atomixos config schema --out config.schema.json
`,
    )
    .action(async (options: { out?: string }) => {
      const text = `${JSON.stringify(jsonSchema(), undefined, 2)}\n`
      if (options.out === undefined) process.stdout.write(text)
      else await writeFile(options.out, text).catch(unwritable(options.out))
    })
}

interface ReadConfig {
  readonly parsed: ParsedConfig
  readonly text: string
}

async function readConfig(file: string): Promise<ReadConfig> {
  const bytes = await (file === '-' ? readStandardInput() : readFile(file)).catch(
    (error: NodeJS.ErrnoException) => {
      throw new UserError(
        error.code === 'ENOENT' ? `${file} is not there` : `${file} cannot be read: ${error.message}`,
        { exitCode: 2, cause: error },
      )
    },
  )
  return { parsed: parseConfig(bytes), text: bytes.toString('utf8') }
}

async function readStandardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** A configuration that a device takes; throws UserError after telling what is wrong with any other. */
async function requireConfig(file: string): Promise<{ config: OperatorConfig; text: string }> {
  const { parsed, text } = await readConfig(file)
  process.stderr.write(showProblems(file, text, parsed.warnings, 'warning'))
  if (parsed.config === undefined) {
    process.stderr.write(showProblems(file, text, parsed.problems))
    throw new UserError(`${file}: ${counted(parsed.problems.length, 'problem')}`, {
      hint: 'nothing is made of a configuration that a device would refuse',
    })
  }
  return { config: parsed.config, text }
}

function listed(files: ReadonlyMap<string, RenderedFile>): string {
  return [...files]
    .map(([path, { mode, owner, content }]) => {
      const bytes = String(Buffer.byteLength(content)).padStart(7)
      return `${octal(mode)}  ${owner.padEnd(12)} ${bytes}  ${path}\n`
    })
    .join('')
}

function printed(files: ReadonlyMap<string, RenderedFile>): string {
  return [...files]
    .map(([path, { mode, owner, content }]) => `# ${path} (${octal(mode)} ${owner})\n${content}`)
    .join('\n')
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0')
}

/** The whole folder or none of it: it gets its name when it is complete. */
async function writeFiles(dir: string, files: ReadonlyMap<string, RenderedFile>): Promise<void> {
  const present = await readdir(dir).catch(() => [])
  if (present.length > 0) {
    throw new UserError(`${dir} is not empty`, { hint: 'name a new folder', exitCode: 2 })
  }
  const target = resolve(dir)
  await mkdir(dirname(target), { recursive: true }).catch(unwritable(dir))
  const made = await mkdtemp(`${target}.`).catch(unwritable(dir))
  try {
    for (const [path, { content, mode }] of files) {
      await mkdir(dirname(join(made, path)), { recursive: true, mode: folderMode })
      await writeFile(join(made, path), content, { mode })
    }
    await chmod(made, folderMode)
    await rename(made, target).catch(unwritable(dir))
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}

function unwritable(path: string): (error: Error) => never {
  return (error) => {
    throw new UserError(`${path} cannot be written: ${error.message}`, { exitCode: 2, cause: error })
  }
}

function foundKeys(asked: string): readonly KeyReference[] {
  const { found, meant } = findKeys(asked)
  if (found.length > 0) return found
  throw new UserError(`config.toml has no key "${asked}"`, {
    hint:
      meant === undefined
        ? '`./atomixos config explain` lists them'
        : `did you mean "${meant}"? \`./atomixos config explain ${meant}\``,
    exitCode: 2,
  })
}

function overview(keys: readonly KeyReference[]): string {
  return keys
    .filter(({ type }) => type !== 'directive')
    .map(({ key, about }) => `${key.padEnd(46)} ${about.split(/(?<=\.) /)[0]}\n`)
    .join('')
}

function explained({ key, type, required, about, preset, example }: KeyReference): string {
  const rows: [string, string | undefined][] = [
    ['type', type],
    ['left out', required ? 'it is needed' : preset],
    ['example', example],
  ]
  const lines = rows.flatMap(([name, value]) =>
    value === undefined ? [] : [`  ${name.padEnd(9)} ${value}\n`],
  )
  return `${key}\n  ${about}\n${lines.join('')}`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
