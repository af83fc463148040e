import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import {
  boardOfCompatible,
  type Channel,
  channelLimits,
  channelPath,
  compareVersionTexts,
  defaultChannelName,
  isVersionText,
  updateApi,
} from '@atomixos/config'
import { inspectBundle } from '@atomixos/image/bundle/inspect.ts'
import { readBundle } from '@atomixos/image/bundle/read.ts'
import { judgeSignature, verifyPayload } from '@atomixos/image/bundle/verify.ts'
import { UserError } from '@atomixos/image/errors.ts'
import { addDeltas } from '@atomixos/image/feed/add-deltas.ts'
import { readChannelFile, writeChannelFile } from '@atomixos/image/feed/channel-file.ts'
import {
  changeRollout,
  pauseChannel,
  publishRelease,
  renewChannel,
  resumeChannel,
  rolloutWarning,
} from '@atomixos/image/feed/edit-channel.ts'
import {
  addBundle,
  exclusively,
  hashFile,
  listChannels,
  makeFeed,
  replaceFile,
  requireFolder,
} from '@atomixos/image/feed/feed-tree.ts'
import { simpleAnswer, simpleAnswerVersion } from '@atomixos/image/feed/simple-answer.ts'
import type { ToolTree } from '@atomixos/image/tools/tools.ts'
import { type Command, InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { channelSummary, renderSummary } from '../feed/channel-summary.ts'
import { parseDuration, parseSteps, parseWindow, requireFloor, requireName } from '../feed/parse-words.ts'
import { openServerCertificate, serveFeed } from '../feed/serve-feed.ts'
import { openLockedInputs } from '../locked-inputs.ts'
import { addReleaseOptions } from '../release-options.ts'
import { developmentKeysDir, openSigning, type ReleaseOptions, requireAll, type Signing } from '../signing.ts'

export function addFeed(program: Command, context: CommandContext): void {
  const feed = program
    .command('feed')
    .description('a folder that any web server can hand out, from which devices take updates in stages')
    .addHelpText(
      'after',
      `
docs/feed.md tells what is in the folder, and what devices make of it.

Examples:
  ./atomixos feed publish /srv/feed dist/rock64/atomixos-trixie-rock64.raucb --rollout "1%@now 10%@+24h 100%@+72h"
  ./atomixos feed pause /srv/feed --reason "no LAN on some devices"
  ./atomixos feed resume /srv/feed
  ./atomixos feed rollout /srv/feed 50%@now 100%@+24h
  ./atomixos feed show /srv/feed
`,
    )
  addPublish(feed, context)
  addPause(feed, context)
  addResume(feed, context)
  addRollout(feed, context)
  addRenew(feed, context)
  addShow(feed, context)
  addServe(feed, context)
}

interface ChannelOptions extends ReleaseOptions {
  readonly board: string
  readonly channel: string
  readonly expiresIn: string
  readonly json?: boolean
}

interface RolloutOptions {
  readonly window?: readonly string[]
  readonly canary?: readonly string[]
  readonly anyTime?: boolean
  readonly canaries?: boolean
}

/** What all commands that change a channel have in common. */
function channelOptions(command: Command): Command {
  command
    .option('--channel <NAME>', 'which channel', defaultChannelName)
    .option(
      '--expires-in <DURATION>',
      'devices follow the channel file no longer than that from now on',
      '90d',
    )
  return addReleaseOptions(command, {
    release: 'for the field: with production keys, which must be given',
    keyring: 'authorities and revocation lists that devices have',
    signs: 'the channel',
  }).option('--json', 'the channel as it is then, on standard output')
}

function boardOption(command: Command): Command {
  return command.option('--board <NAME>', 'which board', 'rock64')
}

function rolloutOptions(command: Command): Command {
  return command
    .option('--window <WINDOW>', 'when devices may install, UTC; several times for several', collect)
    .option('--any-time', 'devices may install at any time: takes all windows away')
    .option(
      '--canary <LABEL>',
      'devices with this label take releases at once; several times for several',
      collect,
    )
    .option('--no-canaries', 'takes all canary labels away')
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

function addPublish(feed: Command, context: CommandContext): void {
  const command = feed
    .command('publish')
    .description('put a bundle into the feed and make it the release of the channel')
    .argument('<dir>', 'the feed; made when it is not there')
    .argument('<bundle>', 'the signed update (.raucb)')
    .option('--rollout <STEPS>', 'PERCENT@TIME, in order', '100%@now')
    .option('--floor <VERSION>', 'devices must run at least this to take it; left out: as before')
    .option('--resume', 'ends a halt with this release')
    .option('--deltas <N>', 'make deltas from so many versions before it; 0: none', parseDeltaCount, 3)
  rolloutOptions(channelOptions(command))
    .addHelpText(
      'after',
      `
The bundle is verified as a device would; its board and version are what it says. The bundle is there first, the channel
last. With a floor, the release until now stays for devices below it. Systems that know no channels get what is for everybody
as the file api/v1/updates/latest.

Deltas are made from the bundles that are in the feed: seconds to minutes each, and about five times the bundle's size
in memory. Each is tried out before it is published; a device that can't use it takes the full bundle.

Examples:
  ./atomixos feed publish /srv/feed update.raucb
  ./atomixos feed publish /srv/feed update.raucb --rollout "0%@now 10%@+24h 100%@2026-12-24T02:00Z" --canary lab
  ./atomixos feed publish /srv/feed update.raucb --window "mon-fri 01:00-05:00" --floor 1.4.0
`,
    )
    .action((dir: string, bundle: string, options: PublishOptions) =>
      runPublish(context, dir, bundle, options),
    )
}

interface PublishOptions extends ChannelOptions, RolloutOptions {
  readonly rollout: string
  readonly floor?: string
  readonly resume?: boolean
  readonly deltas: number
}

async function runPublish(
  context: CommandContext,
  dir: string,
  file: string,
  options: PublishOptions,
): Promise<void> {
  const when = parseWhen(options)
  const { nowMs } = when
  const steps = parseSteps([options.rollout], nowMs)
  const floor = options.floor === undefined ? undefined : requireFloor(options.floor)
  const lists = parseLists(options)
  const bundle = await readBundle(file)
  await using publisher = await openPublisher(context, options)
  const { tools, keyringPath } = publisher
  const { manifest } = await inspectBundle(tools, bundle)
  const { version, compatible } = manifest
  const board = boardOfCompatible(compatible)
  if (board === undefined || !isVersionText(version)) {
    throw new UserError(`${file} is for "${compatible}", version "${version}": no update of ours`, {
      exitCode: 2,
    })
  }
  requireName(board, 'board')
  const judged = await judgeSignature(tools, { bundlePath: file, keyringPath })
  if (!judged.accepted) {
    throw new UserError(`${file}: devices with ${publisher.keyringName} refuse it: ${judged.reason}`, {
      hint: 'a development bundle is for development feeds, a release for feeds with --release',
    })
  }
  verifyPayload(bundle, manifest.verity)
  await makeFeed(dir)
  await exclusively(dir, async () => {
    const path = join(dir, channelPath(board, options.channel))
    const before = existsSync(path)
      ? (await readChannelFile(tools, { path, keyringPath })).channel
      : undefined
    const facts = {
      ...{ ...when, board, channel: options.channel, version, steps, floor, ...lists, deltas: [] },
      resume: options.resume ?? false,
    }
    // Before a hundred megabytes are copied.
    publishRelease(before, { ...facts, bundle: { path: 'x', sizeBytes: 1, sha256: '' } })
    const added = await addBundle(dir, { path: file, board, version, signal: context.signal })
    const deltas = await addDeltas(dir, {
      ...{ board, tools, keyringPath, count: options.deltas },
      to: { version, path: join(dir, added.path), verity: manifest.verity },
      floor: floor ?? before?.release.floor,
      reporter: context.reporter,
      signal: context.signal,
    })
    const after = publishRelease(before, { ...facts, bundle: added, deltas })
    const least = after.release.floor
    if (
      least !== undefined &&
      !after.stones.some((stone) => compareVersionTexts(stone.version, least) >= 0)
    ) {
      context.reporter.warn(
        `no release of the channel leads to ${least}: devices below it stay where they are`,
      )
    }
    await replaceChannel(publisher, path, after)
    await replaceSimpleAnswer(context, dir, after, nowMs)
    report(context, after, nowMs, options)
  })
}

function addPause(feed: Command, context: CommandContext): void {
  const command = feed
    .command('pause')
    .description('no device takes the release any more, canaries neither, from its next look on')
    .argument('<dir>', 'the feed')
    .requiredOption('--reason <TEXT>', 'one line that devices show')
  channelOptions(boardOption(command))
    .addHelpText(
      'after',
      '\nExamples:\n  ./atomixos feed pause /srv/feed --reason "no LAN on some devices"\n',
    )
    .action((dir: string, options: ChannelOptions & { reason: string }) =>
      change(context, dir, options, (before, when) =>
        pauseChannel(before, { ...when, reason: options.reason }),
      ),
    )
}

function addResume(feed: Command, context: CommandContext): void {
  const command = feed
    .command('resume')
    .description('go on with the roll-out where its steps have come to by now')
    .argument('<dir>', 'the feed')
  channelOptions(boardOption(command))
    .addHelpText('after', '\nExamples:\n  ./atomixos feed resume /srv/feed\n')
    .action((dir: string, options: ChannelOptions) => change(context, dir, options, resumeChannel))
}

function addRollout(feed: Command, context: CommandContext): void {
  const command = feed
    .command('rollout')
    .description('other steps, windows or canaries for the release that is there')
    .argument('<dir>', 'the feed')
    .argument('[step...]', 'PERCENT@TIME, in order; left out: as before')
  rolloutOptions(channelOptions(boardOption(command)))
    .addHelpText(
      'after',
      `
Times are now, +36h, 2026-12-24 or 2026-12-24T02:00Z. Before the first step nobody but canaries takes the release.
Devices that have taken a release keep it.

Examples:
  ./atomixos feed rollout /srv/feed 1%@now 10%@+24h 50%@+48h 100%@+96h
  ./atomixos feed rollout /srv/feed --window "daily 01:00-05:00" --canary lab --canary desk
  ./atomixos feed rollout /srv/feed --any-time
`,
    )
    .action((dir: string, steps: string[], options: ChannelOptions & RolloutOptions) => {
      const lists = parseLists(options)
      if (steps.length === 0 && lists.windows === undefined && lists.canaries === undefined) {
        throw new UserError('nothing is to be changed', {
          hint: 'give steps such as 50%@now, or --window, --any-time, --canary, --no-canaries',
          exitCode: 2,
        })
      }
      return change(context, dir, options, (before, when) => {
        const parsed = steps.length === 0 ? undefined : parseSteps(steps, when.nowMs)
        const after = changeRollout(before, { ...when, ...lists, steps: parsed })
        const warning = rolloutWarning(before, after, when.nowMs)
        if (warning !== undefined) context.reporter.warn(warning)
        return after
      })
    })
}

function addRenew(feed: Command, context: CommandContext): void {
  const command = feed
    .command('renew')
    .description('sign the channel again, so that it does not expire; nothing else changes')
    .argument('<dir>', 'the feed')
  channelOptions(boardOption(command))
    .addHelpText('after', '\nExamples:\n  ./atomixos feed renew /srv/feed --expires-in 30d\n')
    .action((dir: string, options: ChannelOptions) => change(context, dir, options, renewChannel))
}

interface When {
  readonly nowMs: number
  readonly expiresMs: number
}

async function change(
  context: CommandContext,
  dir: string,
  options: ChannelOptions,
  edit: (before: Channel, when: When) => Channel,
): Promise<void> {
  const when = parseWhen(options)
  const path = join(dir, channelPath(requireName(options.board, 'board'), options.channel))
  await requireFolder(dir)
  if (!existsSync(path)) {
    throw new UserError(`${dir} has no channel "${options.channel}" for ${options.board}`, {
      hint: '`./atomixos feed show DIR` tells what is there, `./atomixos feed publish DIR BUNDLE` begins one',
      exitCode: 2,
    })
  }
  await using publisher = await openPublisher(context, options)
  await exclusively(dir, async () => {
    const { channel: before } = await readChannelFile(publisher.tools, {
      path,
      keyringPath: publisher.keyringPath,
    })
    const after = edit(before, when)
    await replaceChannel(publisher, path, after)
    await replaceSimpleAnswer(context, dir, after, when.nowMs)
    report(context, after, when.nowMs, options)
  })
}

function parseWhen({ expiresIn, channel }: ChannelOptions): When {
  requireName(channel, 'channel')
  const nowMs = Math.floor(Date.now() / 1000) * 1000
  return { nowMs, expiresMs: nowMs + parseDuration(expiresIn) }
}

/** undefined: as before. */
function parseLists({ window, canary, anyTime, canaries }: RolloutOptions) {
  if (window !== undefined && anyTime) {
    throw new UserError('--window and --any-time exclude each other', { exitCode: 2 })
  }
  return {
    windows: anyTime ? [] : window?.map(parseWindow),
    canaries: canary?.map((label) => requireName(label, 'label')) ?? (canaries === false ? [] : undefined),
  }
}

interface Publisher extends AsyncDisposable {
  readonly tools: ToolTree
  readonly signing: Signing
  /** Of a file for RAUC. */
  readonly keyringPath: string
  /** For people. */
  readonly keyringName: string
}

/** Development keys, or production keys after every check that a release gets. */
async function openPublisher(context: CommandContext, options: ReleaseOptions): Promise<Publisher> {
  if (options.release) requireAll(options)
  const tools = await openTools(context)
  const signing = await openSigning(context, tools, options)
  const scratch = await mkdtemp(join(tmpdir(), 'atomixos-feed-'))
  const keyringPath = join(scratch, 'keyring.pem')
  await writeFile(keyringPath, signing.keyring)
  return {
    ...{ tools, signing, keyringPath },
    keyringName: options.keyring ?? join(developmentKeysDir(context), 'keyring.pem'),
    [Symbol.asyncDispose]: () => rm(scratch, { recursive: true, force: true }),
  }
}

/** What devices would refuse never takes the place of what they follow. */
async function replaceChannel(publisher: Publisher, path: string, channel: Channel): Promise<void> {
  const { tools, signing, keyringPath } = publisher
  const { signer, signingTimeSeconds } = signing
  await replaceFile(path, async (outPath) => {
    await writeChannelFile(tools, { channel, signer, signingTimeSeconds, outPath })
    await readChannelFile(tools, { path: outPath, keyringPath })
  })
}

/**
 * For systems that know no channels, and ask the simple question: one file for all of them, so only where a feed has one
 * board. A release that is not for everybody leaves what was there before, but never itself.
 */
async function replaceSimpleAnswer(
  context: CommandContext,
  dir: string,
  channel: Channel,
  nowMs: number,
): Promise<void> {
  if (channel.channel !== defaultChannelName) return
  const path = join(dir, updateApi.latestPath)
  const text = simpleAnswer(channel, nowMs)
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (text === undefined) {
    if (before !== undefined && simpleAnswerVersion(before) === channel.release.version) await rm(path)
  } else if ((await listChannels(dir)).some(({ board }) => board !== channel.board)) {
    context.reporter.warn(
      `${updateApi.latestPath} stays as it is: the feed has several boards, and that file is one for all`,
    )
  } else if (text !== before) {
    await replaceFile(path, (unfinished) => writeFile(unfinished, text))
  }
}

function report(
  context: CommandContext,
  channel: Channel,
  nowMs: number,
  { json }: { json?: boolean },
): void {
  context.reporter.close()
  const summary = channelSummary(channel, nowMs)
  process.stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : renderSummary(summary))
}

function addShow(feed: Command, context: CommandContext): void {
  feed
    .command('show')
    .description('the channels of a feed, as devices read them now')
    .argument('<dir>', 'the feed')
    .option('--keyring <FILE>', "of the devices; left out: that of this checkout's development builds")
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Every channel is judged, and every bundle that it names is compared with its hash. Exit codes: 0 all is well, 1 something
is refused, expired, damaged or missing.

Examples:
  ./atomixos feed show /srv/feed
  ./atomixos feed show /srv/feed --keyring keyring.pem --json | jq '.[].version'
`,
    )
    .action((dir: string, options: { keyring?: string; json?: boolean }) => runShow(context, dir, options))
}

async function runShow(
  context: CommandContext,
  dir: string,
  options: { readonly keyring?: string; readonly json?: boolean },
): Promise<void> {
  const found = await listChannels(dir)
  if (found.length === 0) {
    throw new UserError(`${dir} has no channel`, {
      hint: '`./atomixos feed publish DIR BUNDLE` begins one',
      exitCode: 2,
    })
  }
  const keyringPath = options.keyring ?? join(developmentKeysDir(context), 'keyring.pem')
  if (!existsSync(keyringPath)) {
    throw new UserError(`${keyringPath} is not there`, {
      hint: 'give the keyring that devices have, with --keyring FILE',
      exitCode: 2,
    })
  }
  const tools = await openTools(context)
  const nowMs = Date.now()
  const shown: ReturnType<typeof channelSummary>[] = []
  const problems: string[] = []
  for (const { board, channel: name, path } of found) {
    try {
      const { channel } = await readChannelFile(tools, { path, keyringPath })
      const wrong = [
        ...(channel.board === board && channel.channel === name
          ? []
          : [`says that it is the channel "${channel.channel}" of ${channel.board}`]),
        ...(channel.expiresMs <= nowMs ? ['has expired; `./atomixos feed renew` signs it again'] : []),
        ...(await bundleProblems(dir, channel)),
      ]
      problems.push(...wrong.map((what) => `${path}: ${what}`))
      shown.push(channelSummary(channel, nowMs))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      problems.push(error.message)
    }
  }
  context.reporter.close()
  const text = options.json ? `${JSON.stringify(shown, null, 2)}\n` : shown.map(renderSummary).join('\n')
  process.stdout.write(text)
  if (problems.length > 0) throw new UserError(problems.join('\n'))
}

async function bundleProblems(dir: string, channel: Channel): Promise<string[]> {
  const problems: string[] = []
  for (const { bundle, deltas } of [channel.release, ...channel.stones]) {
    for (const file of [bundle, ...deltas]) {
      const there = await hashFile(join(dir, file.path)).catch(() => undefined)
      if (there === undefined) problems.push(`${file.path} is missing`)
      else if (there.sha256 !== file.sha256) problems.push(`${file.path} is not what was published`)
    }
  }
  return problems
}

function addServe(feed: Command, context: CommandContext): void {
  feed
    .command('serve')
    .description('hand out a feed over https, for trying it out')
    .argument('<dir>', 'the feed')
    .option('--port <N>', 'where', parsePort, 8443)
    .option(
      '--host <NAME>',
      'names and addresses by which devices reach it; several times for several',
      collect,
    )
    .option('--http', 'without encryption, for a proxy in front of it: devices refuse it')
    .addHelpText(
      'after',
      `
The certificate is its own authority, made on first use. A device trusts it with that file as
/data/update/server-ca.pem. For more than a trial take a real web server: docs/feed.md.

Examples:
  ./atomixos feed serve /srv/feed --host 192.168.1.10
`,
    )
    .action((dir: string, options: ServeOptions) => runServe(context, dir, options))
}

interface ServeOptions {
  readonly port: number
  readonly host?: readonly string[]
  readonly http?: boolean
}

async function runServe(context: CommandContext, dir: string, options: ServeOptions): Promise<void> {
  await requireFolder(dir)
  const hosts = options.host ?? ['localhost', '127.0.0.1']
  const certificate = options.http
    ? undefined
    : await openServerCertificate(await openTools(context), {
        dir: join(context.workspace.cacheDir, 'keys', 'feed-server'),
        hosts,
      })
  if (certificate === undefined) {
    context.reporter.warn('without encryption: devices refuse http, wherever it comes from')
  }
  await using server = await serveFeed({
    ...{ dir, port: options.port, certificate },
    onRequest: (line) => process.stdout.write(`${line}\n`),
  })
  context.reporter.close()
  const scheme = certificate === undefined ? 'http' : 'https'
  process.stdout.write(`${dir} is at ${scheme}://${hosts[0]}:${server.port}/ until Ctrl-C\n`)
  if (certificate !== undefined) {
    const path = relative(process.cwd(), certificate.certificatePath)
    process.stdout.write(`devices trust it with ${path} as /data/update/server-ca.pem\n`)
  }
  await new Promise<void>((resolve) => {
    if (context.signal.aborted) resolve()
    context.signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function parseDeltaCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 0 && count <= channelLimits.deltasMax) return count
  throw new InvalidArgumentError(`a whole number from 0 to ${channelLimits.deltasMax}`)
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new InvalidArgumentError('a whole number from 0 to 65535')
}

async function openTools(context: CommandContext): Promise<ToolTree> {
  return (await openLockedInputs(context, { targets: ['tools'] })).toolTree('tools')
}
