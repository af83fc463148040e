import type { Directive } from '../words.ts'
import { directive, type Schema, type TableNode, table } from '../words.ts'
import * as check from './values.ts'

/** Sections of Quadlet that the contract has. */
export type Section = 'Container' | 'Network' | 'Volume' | 'Build'

/** What a directive may be in an application without privileges. */
export type Verdict =
  /** Any value. */
  | { readonly verdict: 'free' }
  /** Values that do not lead out. `accept` sees one value, with the folders' names filled in. */
  | { readonly verdict: 'checked'; readonly what: string; readonly accept: (value: string) => boolean }
  /** What the operator says is replaced, or partly rewritten; see boundary.ts. */
  | { readonly verdict: 'enforced'; readonly how: string }
  | { readonly verdict: 'refused'; readonly why: string }

const free: Verdict = { verdict: 'free' }
const refused = (why: string): Verdict => ({ verdict: 'refused', why })
const checked = (what: string, accept: (value: string) => boolean): Verdict => ({
  verdict: 'checked',
  what,
  accept,
})

const arguments_ = refused('arguments for podman could switch off everything else')
const module_ = refused('it would load settings of the engine from a file')
const userRange = refused("the account's own range of ids applies")
const confinement = refused('it would loosen the confinement')
const noPods = refused('there are no pods in this contract')
const bridge = refused('it needs a network of its own, and without privileges the network is pasta')
const flagValue = checked('true or false', check.isFlag)
const host = checked('a host name or an address', check.isHostWord)
const seconds = checked('a length of time, such as 30s', check.isDuration)
const count = checked('a number', check.isNumber)
const account = checked('a name or a number, or two with a colon between them', check.isAccount)
const file = checked(`a path below ${check.filesVariable}`, check.isOwnFile)
const word = checked('a plain word', check.isPlainWord)
const serviceName = checked('the name of a service, without .service', check.isServiceName)

/**
 * Every directive that Quadlet of podman 5.4 knows in these sections (podman-systemd.unit(5), and those that its program
 * takes without telling). A test reads the manual in the locked package: a new podman needs new verdicts.
 */
export const directives: Readonly<Record<Section, Readonly<Record<string, Verdict>>>> = {
  Container: {
    AddCapability: refused('it would add privileges'),
    AddDevice: refused('devices belong to the host'),
    AddHost: checked('NAME:ADDRESS', check.isHostEntry),
    Annotation: refused('annotations are instructions to the runtime; use Label'),
    AutoUpdate: checked('registry or local', check.oneOf('registry', 'local')),
    CgroupsMode: checked('split or enabled', check.oneOf('split', 'enabled')),
    ContainerName: word,
    ContainersConfModule: module_,
    DNS: host,
    DNSOption: word,
    DNSSearch: checked('a domain', check.isSearchDomain),
    DropCapability: checked('names of capabilities', check.isWordList(/^[A-Za-z_]+$/)),
    Entrypoint: free,
    Environment: free,
    EnvironmentFile: file,
    EnvironmentHost: refused("the host's environment is not the application's"),
    Exec: free,
    ExposeHostPort: checked('a port or a range', check.isPortRange),
    GIDMap: userRange,
    GlobalArgs: arguments_,
    Group: account,
    GroupAdd: checked('a group, and not keep-groups', check.isGroup),
    HealthCmd: free,
    HealthInterval: checked('a length of time, or disable', check.isInterval),
    HealthLogDestination: checked('local or events_logger', check.oneOf('local', 'events_logger')),
    HealthMaxLogCount: count,
    HealthMaxLogSize: count,
    HealthOnFailure: checked('none, kill, restart or stop', check.oneOf('none', 'kill', 'restart', 'stop')),
    HealthRetries: count,
    HealthStartPeriod: seconds,
    HealthStartupCmd: free,
    HealthStartupInterval: checked('a length of time, or disable', check.isInterval),
    HealthStartupRetries: count,
    HealthStartupSuccess: count,
    HealthStartupTimeout: seconds,
    HealthTimeout: seconds,
    HostName: checked('a host name', check.isHostWord),
    Image: checked(`the name of an image, or an archive below ${check.filesVariable}`, check.isImage),
    IP: bridge,
    IP6: bridge,
    Label: free,
    LogDriver: checked('journald or none', check.oneOf('journald', 'none')),
    LogOpt: checked('tag=TEXT', check.isLogTag),
    Mask: checked('paths inside the container', check.isMask),
    Mount: checked(
      `a tmpfs, a named volume, or a bind of something below ${check.filesVariable}`,
      check.isMount,
    ),
    Network: { verdict: 'enforced', how: 'always pasta' },
    NetworkAlias: bridge,
    NoNewPrivileges: flagValue,
    Notify: checked('true, false or healthy', check.oneOf('true', 'false', 'healthy')),
    PidsLimit: checked('a number', check.isLimit),
    Pod: noPods,
    PodmanArgs: arguments_,
    PublishPort: { verdict: 'enforced', how: 'a numeric host port, always on 127.0.0.1' },
    Pull: checked('always, missing, never or newer', check.oneOf('always', 'missing', 'never', 'newer')),
    ReadOnly: flagValue,
    ReadOnlyTmpfs: flagValue,
    RemapGid: userRange,
    RemapUid: userRange,
    RemapUidSize: userRange,
    RemapUsers: userRange,
    Rootfs: refused('a folder of the host would be its root; use Image'),
    RunInit: flagValue,
    SeccompProfile: confinement,
    Secret: checked('the name of a secret of podman, with its options', check.isSecret),
    SecurityLabelDisable: confinement,
    SecurityLabelFileType: confinement,
    SecurityLabelLevel: confinement,
    SecurityLabelNested: confinement,
    SecurityLabelType: confinement,
    ServiceName: serviceName,
    ShmSize: checked('a size, such as 64m', check.isSize),
    StartWithPod: noPods,
    StopSignal: checked('a signal', check.isSignal),
    StopTimeout: count,
    SubGIDMap: userRange,
    SubUIDMap: userRange,
    Sysctl: checked(
      'settings of its own network: net.*=VALUE',
      check.isWordList(/^net\.[a-z0-9_./-]+=[A-Za-z0-9_.,:-]*$/),
    ),
    Timezone: checked('a time zone, or local', check.isTimezone),
    Tmpfs: checked('a path inside the container, with options', check.isTmpfs),
    UIDMap: userRange,
    Ulimit: checked('NAME=SOFT:HARD', check.isUlimit),
    Unmask: confinement,
    User: account,
    UserNS: checked('auto, nomap or keep-id', check.isUserNamespace),
    VolatileTmp: flagValue,
    Volume: checked(
      `a named volume, a path below ${check.filesVariable}, or a path inside the container alone`,
      check.isVolume,
    ),
    WorkingDir: checked('a path inside the container', check.isInnerPath),
  },
  Network: {
    ContainersConfModule: module_,
    DisableDNS: flagValue,
    DNS: host,
    Driver: checked('bridge', check.oneOf('bridge')),
    Gateway: host,
    GlobalArgs: arguments_,
    Internal: flagValue,
    IPAMDriver: checked('host-local or none', check.oneOf('host-local', 'none')),
    IPRange: checked('a network or a range', check.isAddressRange),
    IPv6: flagValue,
    Label: free,
    NetworkName: word,
    Options: checked('isolate or mtu', check.isWordList(/^(?:isolate=(?:true|false|strict)|mtu=\d{1,5})$/)),
    PodmanArgs: arguments_,
    ServiceName: serviceName,
    Subnet: checked('a network', check.isAddressRange),
  },
  Volume: {
    ContainersConfModule: module_,
    Copy: flagValue,
    Device: refused('it could mount any folder of the host'),
    Driver: checked('local', check.oneOf('local')),
    GlobalArgs: arguments_,
    Group: account,
    Image: refused('it needs another driver'),
    Label: free,
    Options: refused('options of mount could lead to any folder of the host'),
    PodmanArgs: arguments_,
    ServiceName: serviceName,
    Type: refused('it could mount any folder of the host'),
    User: account,
    VolumeName: word,
  },
  Build: {
    Annotation: free,
    Arch: word,
    AuthFile: file,
    ContainersConfModule: module_,
    DNS: host,
    DNSOption: word,
    DNSSearch: checked('a domain', check.isSearchDomain),
    Environment: free,
    File: file,
    ForceRM: flagValue,
    GlobalArgs: arguments_,
    GroupAdd: checked('a group, and not keep-groups', check.isGroup),
    ImageTag: checked('the name of an image', check.isImageName),
    Label: free,
    Network: checked('none or pasta', check.oneOf('none', 'pasta')),
    PodmanArgs: arguments_,
    Pull: checked('always, missing, never or newer', check.oneOf('always', 'missing', 'never', 'newer')),
    Secret: refused('it could read any file of the host'),
    ServiceName: serviceName,
    SetWorkingDirectory: file,
    Target: word,
    TLSVerify: flagValue,
    Variant: word,
    Volume: checked(`a path below ${check.filesVariable}`, check.isBuildVolume),
  },
}

/** Directives that only one value makes sense for, and that have to be there. */
const single: ReadonlySet<string> = new Set(['Image'])

export function directiveTable(section: Section): Schema<Readonly<Record<string, Directive>>> {
  const nodes = Object.fromEntries(
    Object.entries(directives[section]).map(([name, verdict]) => [
      name,
      directive(`Without privileges: ${verdictText(verdict)}.`, {
        once: section === 'Container' && single.has(name),
      }),
    ]),
  )
  const { Image: image, ...others } = nodes
  const about = `The section [${section}], as in podman-systemd.unit(5) of podman 5.4.`
  const sectionTable =
    section === 'Container'
      ? table(about, { Image: { ...image!, example: 'docker.io/library/caddy:2' } }, others)
      : table(about, {}, nodes)
  return { ...(sectionTable as TableNode), unknown: 'podman 5.4 has no such directive' }
}

export function verdictText(verdict: Verdict): string {
  switch (verdict.verdict) {
    case 'free':
      return 'any value'
    case 'checked':
      return verdict.what
    case 'enforced':
      return verdict.how
    case 'refused':
      return `refused, ${verdict.why}`
  }
}

const unitName = checked('names of units', check.isWordList(check.unitNamePattern))
const action = refused('it would act on more than the application')

/**
 * [Unit] of an application without privileges. Its unit runs in the manager of the account, which can do nothing that
 * the account cannot; still, what is not here could stop the other applications.
 */
const unitDirectives: Readonly<Record<string, Verdict>> = {
  After: unitName,
  AllowIsolate: action,
  Before: unitName,
  BindsTo: unitName,
  CollectMode: word,
  Conflicts: unitName,
  DefaultDependencies: flagValue,
  Description: free,
  Documentation: free,
  FailureAction: action,
  FailureActionExitStatus: action,
  IgnoreOnIsolate: flagValue,
  JobRunningTimeoutSec: seconds,
  JobTimeoutAction: action,
  JobTimeoutRebootArgument: action,
  JobTimeoutSec: seconds,
  JoinsNamespaceOf: refused('it would join the namespaces of another unit'),
  OnFailure: unitName,
  OnFailureJobMode: action,
  OnSuccess: unitName,
  PartOf: unitName,
  PropagatesReloadTo: unitName,
  PropagatesStopTo: unitName,
  RebootArgument: action,
  RefuseManualStart: flagValue,
  RefuseManualStop: flagValue,
  ReloadPropagatedFrom: unitName,
  Requires: unitName,
  RequiresMountsFor: refused('mounts belong to the host'),
  Requisite: unitName,
  SourcePath: refused('Quadlet sets it'),
  StartLimitAction: action,
  StartLimitBurst: count,
  StartLimitIntervalSec: seconds,
  StopPropagatedFrom: unitName,
  StopWhenUnneeded: flagValue,
  SuccessAction: action,
  SuccessActionExitStatus: action,
  SurviveFinalKillSignal: action,
  Upholds: unitName,
  Wants: unitName,
  WantsMountsFor: refused('mounts belong to the host'),
}

const installDirectives: Readonly<Record<string, Verdict>> = {
  Alias: refused('it could take the name of another unit'),
  Also: refused('Quadlet does not know it'),
  DefaultInstance: refused('Quadlet does not know it'),
  RequiredBy: unitName,
  UpheldBy: unitName,
  WantedBy: unitName,
}

/** Undefined: nobody knows this directive. */
export function unitVerdict(section: 'Unit' | 'Install', name: string): Verdict | undefined {
  const known = section === 'Unit' ? unitDirectives : installDirectives
  if (Object.hasOwn(known, name)) return known[name]
  // Conditions only look.
  return section === 'Unit' && /^(?:Condition|Assert)[A-Z][A-Za-z]*$/.test(name) ? free : undefined
}

export const unitDirectiveNames = (section: 'Unit' | 'Install'): readonly string[] =>
  Object.keys(section === 'Unit' ? unitDirectives : installDirectives)
