/**
 * The words for people who write VM tests: a machine, its disks, its console, its guest, and a network lab.
 * Sizes are bytes, times are milliseconds, offsets are from the start of the disk. Everything that is
 * started belongs to a scope (`await using`) and is gone when the scope ends.
 */

/**
 * Where programs come from. `argv('qemu-img')` is the argument vector that starts the program, arguments of
 * the caller follow it: a plain path, or a loader with its library path and the program from a tools tree.
 */
export interface Programs {
  argv(program: string): readonly string[]
  /** Added to the (otherwise nearly empty) environment of every program, for example `QEMU_MODULE_DIR`. */
  readonly env?: Readonly<Record<string, string>>
  /** The tree the programs come from; becomes `/` for what runs on a lab host. Undefined: this machine's own. */
  readonly rootDir?: string
}

export interface MachineOptions {
  /** In messages and file names: `gateway`. Lower-case letters, digits and hyphens. */
  readonly name: string
  readonly programs: Programs
  /** Disks, logs and reports of this machine are kept here; made when missing, never deleted by the driver. */
  readonly dir: string
  /** Started with `-bios`. Exactly one of `firmware` and `kernel`. */
  readonly firmware?: string
  /** Direct boot, for guests without firmware. */
  readonly kernel?: { readonly image: string; readonly initrd?: string; readonly commandLine: string }
  /** System disk, virtio-blk. The image is never written: the machine gets its own sparse copy. */
  readonly disk?: DiskSource
  /** Card behind an SDHCI controller, for firmware that keeps its environment there. Size: a power of two. */
  readonly sdCard?: DiskSource
  /** More virtio-blk disks, after the system disk, in this order. */
  readonly extraDisks?: readonly DiskSource[]
  /** `max` is QEMU's fastest under emulation (pointer authentication off). Default: `max`. */
  readonly cpu?: 'max' | 'cortex-a53'
  /** Default: 1. A second emulated core costs more than it gives on small hosts. */
  readonly cpus?: number
  /** Default: 1 GiB. */
  readonly memoryBytes?: number
  /** In guest order. Default: one user-mode network card without port forwards. */
  readonly nics?: readonly Nic[]
  /** An i6300esb watchdog that resets the machine. Default: false. */
  readonly watchdog?: boolean
  /** A display device, needed by `screenshot`. Default: false. */
  readonly display?: boolean
  /** An empty USB controller; `device_add` of `qmp` plugs things into its bus `usb.0`. Default: false. */
  readonly usb?: boolean
  /** The root shell into the guest (`succeed` and friends). Default: true. */
  readonly agent?: boolean
  /** systemd credentials handed to the guest beside the agent's own. Names: at most 28 characters. */
  readonly credentials?: Readonly<Record<string, string | Uint8Array>>
  /** Appended to the QEMU command line. */
  readonly extraArguments?: readonly string[]
  /**
   * Whether a kernel panic (or a systemd that gives up) on the console ends every wait at once (`fail`), or is
   * part of the story (`expected`, as when a bad slot must be given up). Default: `fail`. Waits can say otherwise.
   */
  readonly panics?: 'fail' | 'expected'
  /** Each run of QEMU is killed after this long. Default: 30 minutes. */
  readonly deadlineMs?: number
  /** Prepares for `saveState`: guest memory is a file. Default: false. */
  readonly saveable?: boolean
  /**
   * A file that gets every write, flush and discard of system disk and card, in one order: docs/machine.md. Such a machine
   * is switched on once, and its disks are read from this log (`recording/`), not through `disk` and `sdCard`.
   */
  readonly record?: string
  /** The lab whose network namespace QEMU runs in; needed for `tap` cards. */
  readonly lab?: Lab
  /** Told what is going on, one line at a time. Default: silent. */
  readonly log?: (line: string) => void
}

export type DiskSource =
  /** A private copy of an image, grown to `sizeBytes` (sparse) when that is larger. */
  | { readonly image: string; readonly sizeBytes?: number }
  /** Zeros. */
  | { readonly sizeBytes: number }
  /** An existing raw file used in place and written by the guest. */
  | { readonly file: string }

export type Nic =
  /** QEMU's user-mode network: the guest gets 10.0.2.15 by DHCP and reaches what this machine reaches. */
  | {
      readonly kind: 'user'
      readonly mac?: string
      /** Host port for each guest TCP port; 0 or undefined picks a free one, see `Machine.forwardedPort`. */
      readonly forwards?: readonly { readonly guestPort: number; readonly hostPort?: number }[]
      /** No way out: the guest sees only the forwards. Default: false. */
      readonly restricted?: boolean
    }
  /** Plugged into a bridge of the machine's lab. */
  | { readonly kind: 'bridge'; readonly bridge: string; readonly mac?: string }

export interface CommandOptions extends Pick<WaitOptions, 'panics' | 'signal'> {
  /** The guest kills the command after this long. Default: 60 s. */
  readonly timeoutMs?: number
  /** How long the guest may take to answer at all, as while it boots. Default: 180 s. */
  readonly reachTimeoutMs?: number
}

export interface CommandResult {
  readonly exitCode: number
  /** Decoded as UTF-8; the bytes as they were are in `stdoutBytes`. */
  readonly stdout: string
  readonly stderr: string
  readonly stdoutBytes: Buffer
  readonly timedOut: boolean
}

export interface WaitOptions {
  /** Default: 180 s. */
  readonly timeoutMs?: number
  /** Overrides the machine's setting for this wait. */
  readonly panics?: 'fail' | 'expected'
  readonly signal?: AbortSignal
}

/** Commands run in the guest as root by `sh -c`, through a virtio port: no network, no account, no change to the image. */
export interface Guest {
  /** Whatever the exit code. Throws only when the guest can't be reached or the command had to be abandoned. */
  execute(command: string, options?: CommandOptions): Promise<CommandResult>
  /** Exit code 0 or an error that shows command, output and console; gives standard output. */
  succeed(command: string, options?: CommandOptions): Promise<string>
  /** Any other exit code (not a timeout) or an error; gives standard output and standard error. */
  fail(command: string, options?: CommandOptions): Promise<string>
  waitUntilSucceeds(command: string, options?: WaitOptions): Promise<string>
  waitUntilFails(command: string, options?: WaitOptions): Promise<string>
  /** Fails at once when the unit failed, is masked, or does not exist once the guest has booted. */
  waitForUnit(unit: string, options?: WaitOptions & { readonly state?: UnitState }): Promise<void>
  /** `systemctl` with these arguments; exit code 0 or an error. */
  systemctl(...args: string[]): Promise<string>
  /** Units in state failed, in the manager's order. */
  failedUnits(): Promise<string[]>
  /** Kernel's random id of this boot. Waits for the guest. */
  bootId(options?: WaitOptions): Promise<string>
  copyIn(hostPath: string, guestPath: string, options?: { readonly mode?: number }): Promise<void>
  copyOut(guestPath: string, hostPath: string): Promise<void>
  writeFile(
    guestPath: string,
    content: string | Uint8Array,
    options?: { readonly mode?: number },
  ): Promise<void>
  readFile(guestPath: string): Promise<Buffer>
}

export type UnitState = 'active' | 'inactive' | 'failed'

export interface Machine extends Guest, AsyncDisposable {
  readonly name: string
  readonly dir: string
  readonly console: Console
  /** The disk of `disk`; readable and writable while the machine is off. */
  readonly disk: Disk
  readonly sdCard: Disk
  readonly extraDisks: readonly Disk[]
  readonly running: boolean
  /** Undefined while off. */
  readonly qmp: Qmp | undefined
  /** Powers on. Returns when QEMU runs; `waitForUnit` or any command waits for the guest. */
  start(): Promise<void>
  /** Power cut: QEMU is killed; what the guest had written to its disk is there, what it had not is gone. */
  crash(): Promise<void>
  /** Reset button. */
  reset(): Promise<void>
  /** Orderly power-off from inside; returns when QEMU is gone. */
  shutdown(options?: WaitOptions): Promise<void>
  /** Orderly reboot from inside; returns when the next boot answers. */
  reboot(options?: WaitOptions): Promise<void>
  /** Off, whatever it takes, without an error when it is off already. */
  stop(): Promise<void>
  /** Until the guest answers from another boot than `since` (default: the boot that last answered). */
  waitForReboot(options?: WaitOptions & { readonly since?: string }): Promise<string>
  /** Until the machine powers itself off. */
  waitForPowerOff(options?: WaitOptions): Promise<void>
  /** The first match at or after `from` (default: the start of this power-on). */
  waitForConsoleText(
    pattern: RegExp | string,
    options?: WaitOptions & { readonly from?: number },
  ): Promise<ConsoleMatch>
  /** Types on the serial console. */
  sendConsole(text: string | Uint8Array): Promise<void>
  /** PNG of the display; needs `display: true`. */
  screenshot(file: string): Promise<void>
  /** The port of 127.0.0.1 that leads to this port of the guest. */
  forwardedPort(guestPort: number): number
  /** Freezes and thaws the virtual CPUs. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** Writes memory, devices and disks to `dir`; the machine goes on afterwards. Needs `saveable: true`. */
  saveState(dir: string): Promise<SavedState>
  /** Console tail, QEMU's own messages and log paths, as put below errors. */
  report(): string
}

export interface ConsoleMatch {
  readonly text: string
  readonly groups: readonly (string | undefined)[]
  /** Pass as `from` to look only at what follows. */
  readonly end: number
}

/** The serial console: plain text for matching (no escape sequences, no carriage returns), raw bytes in the log file. */
export interface Console {
  readonly logPath: string
  /** Everything since the machine object was made, over all its boots. */
  readonly text: string
  /** Length of `text` now: a `from` for what comes next. */
  readonly position: number
  tail(lines: number): string
  /** Raw bytes as they come. Returns the function that ends the subscription. */
  subscribe(listener: (bytes: Buffer) => void): () => void
}

export interface Disk {
  readonly path: string
  readonly format: 'raw' | 'qcow2'
  readonly sizeBytes: number
  /** Throws while the machine runs. */
  read(offsetBytes: number, sizeBytes: number): Promise<Buffer>
  write(offsetBytes: number, bytes: Uint8Array): Promise<void>
  /** Flips every bit of the range: damage that any checksum notices. */
  damage(offsetBytes: number, sizeBytes: number): Promise<void>
  zero(offsetBytes: number, sizeBytes: number): Promise<void>
  /** A raw copy for other machines, as `disk: { image: path }`; costs what is on the disk, not its size. */
  copyTo(path: string): Promise<void>
  /** From the primary GPT, or the backup when the primary is bad; throws when neither is good. */
  partitions(): Promise<Partition[]>
  /** The partition of this name; throws with the names there are. */
  partition(label: string): Promise<Partition>
}

export interface Partition {
  readonly number: number
  readonly label: string
  readonly typeId: string
  readonly id: string
  readonly offsetBytes: number
  readonly sizeBytes: number
}

export interface Qmp {
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** The first event of this name from now on. */
  event(name: string, options?: { readonly timeoutMs?: number }): Promise<QmpEvent>
  onEvent(listener: (event: QmpEvent) => void): () => void
}

export interface QmpEvent {
  readonly name: string
  readonly data: Readonly<Record<string, unknown>>
}

/** A folder with a booted machine in it. Forks share it; it is only read. */
export interface SavedState {
  readonly dir: string
}

/** Networks and hosts in a user and network namespace of their own: nothing in it reaches this machine or the world. */
export interface Lab extends AsyncDisposable {
  readonly dir: string
  /** An Ethernet switch. Hosts and machines are plugged into it by name. */
  bridge(name: string): Promise<Bridge>
  /** A computer made of a network namespace, with one card for each bridge named here. */
  host(name: string, cards: Readonly<Record<string, LabCard>>): Promise<LabHost>
  /** The argument vector that runs `argv` in the lab's own namespaces, as QEMU does. */
  enter(argv: readonly string[]): readonly string[]
  /** A socket of the bridge for a QEMU network card. */
  plug(bridge: string): Promise<Plug>
}

export interface Bridge {
  readonly name: string
  /** Ethernet frames on this bridge, to a pcap file, until stopped. */
  capture(file: string, filter?: string): Promise<Capture>
}

export interface Plug extends AsyncDisposable {
  /** QEMU's network backend, without its id: `tap,ifname=...`. */
  readonly netdev: string
  /** Lets frames through; to be called when QEMU runs. */
  connect(): Promise<void>
}

export interface Capture extends AsyncDisposable {
  readonly file: string
  /** Flushes and ends; gives the packets as tcpdump prints them. */
  stop(): Promise<string[]>
}

/** A card without addresses is one for a DHCP client. */
export interface LabCard {
  /** With prefix length: `192.0.2.1/24`, `2001:db8::1/64`. */
  readonly addresses?: readonly string[]
  readonly mac?: string
}

export interface LabOptions {
  readonly programs: Programs
  /** Files of the hosts, captures and logs; made when missing, never deleted by the driver. */
  readonly dir: string
  /** Every process of the lab is killed after this long. Default: 30 minutes. */
  readonly deadlineMs?: number
  readonly log?: (line: string) => void
}

export interface LabHost {
  readonly name: string
  /** Interfaces are named after their bridges. */
  run(argv: readonly string[], options?: LabRunOptions): Promise<CommandResult>
  /** Where this host's `/etc` (writable, when programs come from a tree), `/root`, `/run`, `/tmp` and `/var` are kept. */
  readonly dir: string
  /** `run` that insists on exit code 0; gives standard output. */
  succeed(argv: readonly string[], options?: LabRunOptions): Promise<string>
  fail(argv: readonly string[], options?: LabRunOptions): Promise<string>
  waitUntilSucceeds(argv: readonly string[], options?: LabRunOptions): Promise<string>
  /** The argument vector that runs `argv` of this machine, with this machine's files, in this host's network. */
  enter(argv: readonly string[]): readonly string[]
  /** A server in the foreground; ends with the lab. */
  spawn(argv: readonly string[], options?: LabRunOptions): Promise<LabProcess>
}

export interface LabRunOptions {
  readonly timeoutMs?: number
  readonly stdin?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  /** Folders of this machine that the program sees under the same path. The lab's `dir` is always among them. */
  readonly folders?: readonly string[]
  /** Device nodes of this machine that the program may open, such as `tunDevice`. */
  readonly devices?: readonly string[]
}

export interface LabProcess extends AsyncDisposable {
  readonly logPath: string
  readonly running: boolean
  /** SIGTERM to the program, and SIGKILL to what is left of it 5 s later. */
  stop(): Promise<void>
  /** Standard output and error together; the whole match. */
  waitForOutput(pattern: RegExp, options?: WaitOptions): Promise<string>
}
