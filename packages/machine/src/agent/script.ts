/**
 * The guest's end of the agent: a unit, and a shell program that needs sh and of coreutils timeout, base64, head, cat, chmod, mv, rm, mkdir, sleep. Both
 * reach an unmodified image as systemd credentials through fw_cfg. Unit names are short because fw_cfg names are.
 *
 * Several lanes, each a virtio port with a loop of its own that runs one command at a time: a command that hangs
 * for good costs one lane and never the machine.
 */
import { laneName } from '../arguments.ts'

export const unitName = 'a.service'

export interface Credential {
  readonly name: string
  readonly content: string
}

export function agentCredentials(lanes: number): Credential[] {
  return [
    { name: `systemd.extra-unit.${unitName}`, content: unit },
    // Nothing wants an injected unit, but a mount of fstab.extra can: an empty one, which starts after the unit.
    {
      name: 'fstab.extra',
      content: `tmpfs /run/vm-agent.mount tmpfs size=4k,mode=0700,nofail,x-systemd.wants=${unitName} 0 0\n`,
    },
    { name: 'vm.agent', content: agentScript(Array.from({ length: lanes }, (_, index) => laneName(index))) },
  ]
}

/** No default dependencies: it is there before most of the system and leaves after it. */
const unit = `[Unit]
Description=Shell of the virtual machine's driver
DefaultDependencies=no
IgnoreOnIsolate=yes
StartLimitIntervalSec=0

[Service]
ExecStart=/bin/sh /run/credentials/@system/vm.agent
Environment=HOME=/root LC_ALL=C.UTF-8 TERM=dumb SYSTEMD_COLORS=0 SYSTEMD_PAGER=
RuntimeDirectory=vm-agent
RuntimeDirectoryMode=0700
StandardInput=null
StandardOutput=null
StandardError=journal
Restart=always
RestartSec=1
KillMode=mixed
TimeoutStopSec=2
OOMScoreAdjust=-900
`

/** Answers requests on file descriptor 3 for ever; needs `$dir`, a scratch folder, and `$boot`, the id of this boot. */
export const serveFunction = `serve() {
  printf '.ready %s\\n' "$boot" >&3
  while :; do
    # Without a driver at the other end a port reads as ended.
    IFS=' ' read -r verb id first second <&3 || { sleep 0.2; continue; }
    case $verb in
    hello) printf '.hello %s %s\\n' "$id" "$boot" >&3 ;;
    run)
      text=
      while [ "$second" -gt 0 ]; do
        IFS= read -r line <&3 || break
        text="$text$line
"
        second=$((second - 1))
      done
      timeout -k 2 "$first" sh -c "$text" </dev/null 3>&- >"$dir/out" 2>"$dir/err"
      answer $? ;;
    put)
      IFS= read -r target <&3
      # Everything announced is read, even when it can't be written: the next request follows it.
      { head -c "$first" <&3 | { cat >"$target.vm-part"; status=$?; cat >/dev/null; exit $status; } &&
        chmod "$second" "$target.vm-part" && mv -f "$target.vm-part" "$target"; } 2>"$dir/err"
      status=$?
      : >"$dir/out"
      answer $status ;;
    esac
  done
}
answer() {
  {
    printf '.begin %s %s\\n' "$id" "$1"
    [ -s "$dir/out" ] && base64 "$dir/out"
    printf '.err\\n'
    [ -s "$dir/err" ] && base64 "$dir/err"
    printf '.end %s\\n' "$id"
  } >&3
}
`

/** The program, for lanes on the virtio ports of these names. */
function agentScript(names: readonly string[]): string {
  return `read -r boot </proc/sys/kernel/random/boot_id
${serveFunction}
port_of() {
  for port in /sys/class/virtio-ports/*; do
    [ -e "$port/name" ] && read -r found <"$port/name" && [ "$found" = "$1" ] || continue
    echo "/dev/\${port##*/}"
    return
  done
}
lane() {
  until port=$(port_of "$1") && [ -e "$port" ]; do sleep 0.2; done
  dir=/run/vm-agent/$1
  mkdir -p "$dir"
  exec 3<>"$port"
  serve
}
modprobe -q virtio_console 2>/dev/null
${names.map((name) => `lane ${name} &`).join('\n')}
wait
`
}
