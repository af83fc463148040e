import { dataUnavailableMarkerPath, systemLog, systemLogFolder, systemLogPath } from '@atomixos/config'
import type { Module } from '@atomixos/image/definition/words.ts'

const workFolder = '/run/rsyslog'
const statePath = `${workFolder}/journal.state`
const unused = 'rsyslog reads the journal and writes one file, nothing else'

/**
 * Copies the journal, which is in memory, to /data in few large writes. Nothing waits for it, and nothing depends on
 * it: with a /data that is full, read-only or missing the device loses old log lines, and no more. docs/logs.md.
 */
export const logs: Module = {
  name: 'logs',
  packages: ['rsyslog'],
  omitPackages: { liblognorm5: 'for modules that are left out' },
  users: { syslog: { uid: 109, home: '/run/rsyslog', description: 'log on /data' } },
  leaveOut: {
    '/usr/lib/aarch64-linux-gnu/rsyslog/*.so': unused,
    '/usr/lib/systemd/system/rsyslog.service': 'system-log.service runs it, and as nobody special',
    '/usr/lib/rsyslog/**': unused,
    '/etc/logcheck/**': unused,
  },
  keep: {
    '/usr/lib/aarch64-linux-gnu/rsyslog/imjournal.so': 'reads the journal',
    '/usr/lib/aarch64-linux-gnu/rsyslog/lmnet.so': 'rsyslog does not start without it',
  },
  enable: ['system-log.service', 'system-log-flush.timer'],
  units: {
    'system-log.service': {
      Unit: {
        Description: 'Log on /data',
        DefaultDependencies: false,
        After: 'local-fs.target systemd-tmpfiles-setup.service systemd-journald.service',
        // Started before, and so stopped after, all other services.
        Before: 'basic.target shutdown.target',
        Conflicts: 'shutdown.target',
        RequiresMountsFor: '/data',
        ConditionPathExists: `!${dataUnavailableMarkerPath}`,
      },
      Service: {
        // Nobody waits until it has read what the boot has said so far.
        Type: 'exec',
        ExecStart: '/usr/sbin/rsyslogd -n -iNONE -f /etc/rsyslog.conf',
        // Writes out what the buffer holds.
        ExecReload: '/usr/bin/kill -HUP $MAINPID',
        ExecStopPost: '-/usr/lib/atomixos/finish-system-log',
        // Or each write would be about the one before it.
        LogLevelMax: 'notice',
        Restart: 'on-failure',
        RestartSec: '30s',
        TimeoutStopSec: '20s',
        User: 'syslog',
        Group: 'syslog',
        // Reads the journal; passes through the folder of all logs.
        SupplementaryGroups: 'systemd-journal adm',
        UMask: '0027',
        RuntimeDirectory: 'rsyslog',
        // Where it was in the journal, for a start after a stop.
        RuntimeDirectoryPreserve: true,
        // Everything else comes first; the journal holds the rest as long.
        Nice: 10,
        CPUWeight: 20,
        IOSchedulingClass: 'idle',
        MemoryMax: '64M',
        TasksMax: 16,
        CapabilityBoundingSet: '',
        NoNewPrivileges: true,
        ProtectSystem: 'strict',
        ReadWritePaths: `-${systemLogFolder}`,
        ProtectHome: true,
        PrivateTmp: 'disconnected',
        PrivateDevices: true,
        PrivateNetwork: true,
        PrivateIPC: true,
        ProtectClock: true,
        ProtectControlGroups: true,
        ProtectHostname: true,
        ProtectKernelLogs: true,
        ProtectKernelModules: true,
        ProtectKernelTunables: true,
        ProtectProc: 'invisible',
        RestrictAddressFamilies: 'AF_UNIX',
        RestrictNamespaces: true,
        RestrictRealtime: true,
        RestrictSUIDSGID: true,
        LockPersonality: true,
        MemoryDenyWriteExecute: true,
        SystemCallArchitectures: 'native',
        SystemCallFilter: ['@system-service', '~@privileged'],
      },
      Install: { WantedBy: 'basic.target' },
    },
    'system-log-flush.service': {
      Unit: { Description: 'Write out the Log on /data' },
      Service: {
        Type: 'oneshot',
        ExecStart: '/usr/bin/systemctl try-reload-or-restart system-log.service',
        LogLevelMax: 'notice',
      },
    },
    'system-log-flush.timer': {
      Unit: {
        Description: 'Time Limit of the Buffer of the Log on /data',
        ConditionPathExists: `!${dataUnavailableMarkerPath}`,
      },
      Timer: {
        OnActiveSec: `${systemLog.flushIntervalS}s`,
        OnUnitActiveSec: `${systemLog.flushIntervalS}s`,
        AccuracySec: '30s',
      },
      Install: { WantedBy: 'timers.target' },
    },
  },
  files: {
    '/etc/rsyslog.conf': {
      replaces: 'rsyslog',
      body: `# docs/logs.md has the reasons.
global(workDirectory="${workFolder}" maxMessageSize="8k" net.enableDNS="off" parser.permitSlashInProgramName="on")

# What can't be written at once waits in the journal, not here.
main_queue(queue.type="LinkedList" queue.size="2000" queue.timeoutShutdown="5000")

module(
  load="imjournal"
  FileCreateMode="0640"
  StateFile="${statePath.slice(workFolder.length + 1)}"
  PersistStateInterval="200"
  IgnoreNonValidStatefile="on"
  UsePid="both"
  Ratelimit.Interval="${systemLog.messagesMaxIntervalS}"
  Ratelimit.Burst="${systemLog.messagesMax}"
)

# As journalctl -o short-iso-precise --no-hostname writes it.
template(name="line" type="string" string="%timereported:::date-rfc3339% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\\n")

# All but what is meant for debugging. With asyncWriting a rotation would be the last thing that is ever written
# (rsyslog/rsyslog#7477): the interval is a timer's, system-log-flush.
if $syslogseverity <= 6 then action(
  type="omfile"
  file="${systemLogPath}"
  template="line"
  fileCreateMode="0640"
  createDirs="off"
  asyncWriting="off"
  flushOnTXEnd="off"
  ioBufferSize="${systemLog.bufferBytes >> 10}k"
  rotation.sizeLimit="${systemLog.fileBytesMax}"
  rotation.sizeLimitCommand="/usr/lib/atomixos/rotate-system-log"
)
`,
    },
    '/usr/lib/atomixos/rotate-system-log': {
      mode: 0o755,
      body: `#!/bin/sh
# The newest file is full: rsyslog runs this and goes on in a new one. The oldest is written over.
set -eu
cd ${systemLogFolder}
n=${systemLog.olderFiles}
while [ "$n" -gt 1 ]; do
  newer=$((n - 1))
  if [ -e "system.log.$newer" ]; then mv -f "system.log.$newer" "system.log.$n"; fi
  n=$newer
done
mv -f system.log system.log.1
`,
    },
    '/usr/lib/atomixos/finish-system-log': {
      mode: 0o755,
      body: `#!/bin/sh
# rsyslog is gone: what the journal got in the meantime follows, and all of it is written out.
set -eu
log=${systemLogPath}
if [ -s ${statePath} ]; then
  journalctl --quiet --no-pager --no-hostname --output=short-iso-precise --priority=info \\
    --cursor-file=${statePath} >>"$log"
fi
sync "$log"
`,
    },
    '/usr/lib/tmpfiles.d/atomixos-logs.conf': {
      body: `d ${systemLogFolder} 0750 syslog adm -\n`,
    },
  },
}
