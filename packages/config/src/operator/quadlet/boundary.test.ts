import { describe, expect, test } from 'vitest'
import { hostileValue, Random } from '../../network/test-random.ts'
import { checkConfig } from '../check-config.ts'
import { parseConfig } from '../parse-config.ts'
import { pathText } from '../places.ts'
import { renderConfig } from '../render-config.ts'
import { leastToml, testKey } from '../test-configs.ts'
import { directives, type Section } from './directives.ts'

/** Attempts to leave the bounds of an application without privileges. */

type Directives = Readonly<Record<string, unknown>>

function configWith(app: Directives, others: Readonly<Record<string, unknown>> = {}) {
  return {
    version: 1,
    users: { alice: { isAdmin: true, ssh_key: testKey } },
    activation: { required: ['app'] },
    containers: {
      container: { app: { privileged: false, ...app } },
      volume: { data: { Volume: {} } },
      ...others,
    },
  }
}

const image = 'registry.example.com/app:1'

function problemsOf(container: Directives, more: Directives = {}): string[] {
  const { problems } = checkConfig(configWith({ Container: { Image: image, ...container }, ...more }))
  return problems.map(({ path, message }) => `${pathText(path.slice(3))}: ${message}`)
}

/** The lines of the application's Quadlet. */
function linesOf(container: Directives, more: Directives = {}): string[] {
  const { config, problems } = checkConfig(configWith({ Container: { Image: image, ...container }, ...more }))
  expect(problems).toEqual([])
  return renderConfig(config!).get('quadlet/app.container')!.content.split('\n')
}

describe('refused', () => {
  test.each<[string, unknown]>([
    // Arguments, by every door.
    ['PodmanArgs', '--privileged'],
    ['PodmanArgs', ''],
    ['GlobalArgs', '--root=/'],
    ['ContainersConfModule', '/data/config/files/x.conf'],
    ['Image', '--privileged'],
    ['Image', '--net=host alpine'],
    ['Image', '-v/:/host'],
    ['Image', ' --privileged'],
    ['Image', '"--privileged"'],
    ['Image', 'a b'],
    ['Image', '$HOME'],
    ['Image', '%h'],
    ['HostName', '$FOO'],
    ['HostName', '-x'],
    ['Entrypoint', '$FOO'],
    ['HealthCmd', 'a $FOO'],
    ['Label', 'a=b $FOO'],
    ['Environment', ['A=b', '$FOO']],
    ['Environment', '"$FOO"'],
    ['Environment', '""$FOO=1'],
    ['Environment', '\\x24X=1'],
    ['Environment', '\\44X=1'],
    ['Environment', '\\044X=1'],
    ['Label', '\\u0024X=1'],
    ['Label', 'a=b \\$X=1'],
    ['Label', '\\U00000024X=1'],
    // Capabilities, devices, confinement.
    ['AddCapability', 'CAP_SYS_ADMIN'],
    ['AddCapability', 'all'],
    ['AddDevice', '/dev/mem'],
    ['AddDevice', '-/dev/null'],
    ['SeccompProfile', 'unconfined'],
    ['Unmask', 'ALL'],
    ['SecurityLabelDisable', true],
    ['SecurityLabelType', 'spc_t'],
    ['Annotation', 'run.oci.handler=krun'],
    ['Annotation', 'org.systemd.property.DeviceAllow=x'],
    ['CgroupsMode', 'disabled'],
    ['Sysctl', 'kernel.core_pattern=|/bin/sh'],
    ['Sysctl', 'net.ipv4.ip_forward=1 kernel.x=1'],
    ['Sysctl', 'net.ipv4.x="1" kernel.x'],
    // Somebody else's identity.
    ['UserNS', 'host'],
    ['UserNS', 'ns:/proc/1/ns/user'],
    ['UserNS', 'container:other'],
    ['UserNS', 'keep-id:size=65536'],
    ['UIDMap', '0:0:1'],
    ['GIDMap', '0:0:1'],
    ['SubUIDMap', 'root'],
    ['SubGIDMap', 'root'],
    ['RemapUsers', 'manual'],
    ['RemapUid', '0:0:1'],
    ['GroupAdd', 'keep-groups'],
    ['User', '-1'],
    ['EnvironmentHost', true],
    // Other networks.
    ['Pod', 'x.pod'],
    ['StartWithPod', true],
    ['IP', '172.20.30.9'],
    ['IP6', 'fd00::1'],
    ['NetworkAlias', 'x'],
    ['PublishPort', '80'],
    ['PublishPort', 8080],
    ['PublishPort', ':80'],
    ['PublishPort', '127.0.0.1::80'],
    ['PublishPort', '0:80'],
    ['PublishPort', '65536:80'],
    ['PublishPort', '8080-8090:80'],
    ['PublishPort', '8090-8080:90-80'],
    ['PublishPort', '$PORT:80'],
    ['PublishPort', '8080:80 --network=host'],
    ['PublishPort', '8080:80/tcp,0.0.0.0:80:80'],
    ['PublishPort', '0.0.0.0:127.0.0.1:8080:80'],
    ['PublishPort', '[::]:[::1]:8080:80'],
    ['PublishPort', ''],
    // Files of the host.
    ['Rootfs', '/'],
    ['Volume', '/:/host'],
    ['Volume', '/data/config:/x'],
    ['Volume', `\${CONFIG_DIR}:/x`],
    ['Volume', `\${CONFIG_DIR}/files/../users.json:/x`],
    ['Volume', `\${FILES_DIR}/../config.toml:/x`],
    ['Volume', `\${FILES_DIR}/a/../../x:/x`],
    ['Volume', `\${FILES_DIR}x:/x`],
    ['Volume', '/data/config/filesystem:/x'],
    ['Volume', '/data/config/files/a b:/x'],
    ['Volume', './x:/x'],
    ['Volume', '../x:/x'],
    ['Volume', '%h:/x'],
    ['Volume', '%t/bus:/x'],
    ['Volume', '$HOME:/x'],
    ['Volume', '/run/user/900/podman/podman.sock:/x'],
    ['Volume', 'data:/x:rw,dev'],
    ['Volume', 'data:/x:suid'],
    ['Volume', 'data:/x:O,upperdir=/etc'],
    ['Volume', 'data:/x:idmap'],
    ['Volume', 'data:/x:rshared'],
    ['Volume', 'data:/x:ro:/etc'],
    ['Volume', 'data:x'],
    ['Volume', ['data.volume:/x', '/etc:/etc']],
    ['Mount', 'type=bind,source=/etc,destination=/x'],
    ['Mount', 'type=bind,src=/etc,dst=/x'],
    ['Mount', 'type=tmpfs,destination=/x,type=bind,source=/etc'],
    ['Mount', `type=bind,source=\${FILES_DIR}/x,src=/etc,destination=/x`],
    ['Mount', `type=bind,source=\${FILES_DIR}/../x,destination=/x`],
    ['Mount', `type=bind,source=/etc,src=\${FILES_DIR}/x,destination=/x`],
    ['Mount', `type=bind,source=/etc,source=\${FILES_DIR}/x,destination=/x`],
    ['Mount', 'type=bind,type=volume,source=data,destination=/x'],
    ['Mount', 'type=glob,source=/etc/*,destination=/x'],
    ['Mount', 'type=devpts,destination=/x'],
    ['Mount', 'type=image,source=x,destination=/x,rw=true'],
    ['Mount', 'type=volume,source=data,destination=/x,volume-opt=device=/etc'],
    ['Mount', '"type=bind","source=/etc","destination=/x"'],
    ['Mount', 'type=bind'],
    ['Mount', ''],
    ['Tmpfs', '/x:size=1m,dev'],
    ['Tmpfs', '/x:/etc'],
    ['EnvironmentFile', '/etc/shadow'],
    ['EnvironmentFile', `\${FILES_DIR}/x /etc/shadow`],
    ['EnvironmentFile', '%h/x'],
    ['Image', 'dir:/'],
    ['Image', 'docker-daemon:x'],
    ['Image', 'oci-archive:/etc/x'],
    ['Image', `oci-archive:\${FILES_DIR}/../x`],
    ['Image', 'containers-storage:[/data/containers/storage]x'],
    ['Image', 'docker://x'],
    ['LogDriver', 'k8s-file'],
    ['LogDriver', 'passthrough'],
    ['LogOpt', 'path=/data/config/x'],
    ['LogOpt', ['tag=x', 'path=/x']],
    ['HealthLogDestination', '/data'],
    ['Secret', 'x,target=../../x'],
    ['Timezone', '../../../etc/shadow'],
    ['Timezone', '/etc/shadow'],
    ['Ulimit', 'nofile=1 --privileged'],
    ['ContainerName', '--privileged'],
    ['WorkingDir', '$X'],
    ['ServiceName', '../x'],
  ])('%s = %j', (name, value) => {
    const found = problemsOf({ [name]: value })
    expect(found.length).toBeGreaterThan(0)
    for (const problem of found) expect(problem).toMatch(new RegExp(`^Container\\.${name}(?:\\[\\d\\])?: `))
  })

  test.each<[Record<string, unknown>]>([
    [{ Unit: { FailureAction: 'reboot' } }],
    [{ Unit: { JoinsNamespaceOf: 'x.service' } }],
    [{ Unit: { OnFailure: '../x' } }],
    [{ Unit: { StartLimitAction: 'reboot-force' } }],
    [{ Unit: { RequiresMountsFor: '/x' } }],
    [{ Unit: { After: 'a.service\\' } }],
    [{ Unit: { Unknown: 'x' } }],
    [{ Unit: { constructor: 'x' } }],
    [{ Unit: { toString: 'x' } }],
    [{ Install: { Alias: 'dbus.service' } }],
    [{ Install: { Also: 'x.service' } }],
    [{ Install: { WantedBy: '../../x' } }],
    [{ Install: { WantedBy: 'x.target ../x.target' } }],
  ])('%j', (sections) => {
    expect(problemsOf({}, sections)).toHaveLength(1)
  })

  test.each<[Section, string, unknown]>([
    ['Volume', 'Device', '/etc'],
    ['Volume', 'Options', 'bind'],
    ['Volume', 'Type', 'none'],
    ['Volume', 'Driver', 'image'],
    ['Volume', 'PodmanArgs', '--opt=o=bind'],
    ['Volume', 'VolumeName', '--x'],
    ['Network', 'Driver', 'macvlan'],
    ['Network', 'Options', 'parent=eth0'],
    ['Network', 'PodmanArgs', '--driver=host'],
    ['Build', 'Network', 'host'],
    ['Build', 'PodmanArgs', '--volume=/:/x'],
    ['Build', 'Volume', '/:/x'],
    ['Build', 'Secret', 'id=x,src=/etc/shadow'],
    ['Build', 'File', '/etc/x'],
    ['Build', 'File', 'https://example.com/Containerfile'],
    ['Build', 'SetWorkingDirectory', '/'],
    ['Build', 'AuthFile', '/root/x'],
  ])('[%s] %s = %j, of what an application without privileges uses', (section, name, value) => {
    const kind = section.toLowerCase()
    const { problems } = checkConfig(
      configWith({ Container: { Image: image } }, { [kind]: { u: { [section]: { [name]: value } } } }),
    )
    expect(problems.map(({ path }) => pathText(path))).toEqual([`containers.${kind}.u.${section}.${name}`])
  })
})

// Whoever could say what systemd runs, or what a pod has, would need none of the directives above.
test.each(['Service', 'Quadlet', 'Pod', 'Kube', 'Image', 'Volume', 'Socket', 'X-Container'])(
  'a container has no section [%s]',
  (section) => {
    const found = problemsOf({}, { [section]: { ExecStartPre: '/usr/bin/true' } })
    expect(found).toHaveLength(1)
    expect(found[0]).toMatch(new RegExp(`^${section}: `))
  },
)

test.each(['pod', 'kube', 'image', 'artifact', 'service'])('there are no Quadlets of kind %s', (kind) => {
  const { problems } = checkConfig(
    configWith({ Container: { Image: image } }, { [kind]: { x: { [kind]: { PodmanArgs: 'x' } } } }),
  )
  expect(problems.map(({ path }) => pathText(path))).toEqual([`containers.${kind}`])
})

test.each(['Unit', 'Install', 'Exec', 'constructor', '__proto__'])(
  'a container called %s has the same bounds',
  (name) => {
    const container = {
      app: { privileged: false, Container: { Image: image } },
      [name]: { privileged: false, Container: { Image: image, Label: '$X=1', PodmanArgs: 'x' } },
    }
    const containers = JSON.parse(
      JSON.stringify({ container }).replace(
        '{"app"',
        `{${JSON.stringify(name)}:${JSON.stringify(container[name])},"app"`,
      ),
    )
    expect(checkConfig({ ...configWith({}), containers }).problems.map(({ path }) => pathText(path))).toEqual(
      [`containers.container.${name}.Container.Label`, `containers.container.${name}.Container.PodmanArgs`],
    )
  },
)

describe('enforced', () => {
  test.each<[unknown]>([
    ['host'],
    ['none'],
    ['pasta:--config-net,-T,22'],
    ['slirp4netns:allow_host_loopback=true'],
    ['ns:/proc/1/ns/net'],
    ['container:x'],
    [['pasta', 'host']],
    ['x.network'],
    [''],
  ])('Network = %j becomes pasta', (value) => {
    expect(linesOf({ Network: value }).filter((line) => line.startsWith('Network'))).toEqual([
      'Network=pasta',
    ])
    const { warnings } = checkConfig(configWith({ Container: { Image: image, Network: value } }))
    expect(warnings.map(({ path }) => path.at(-1))).toEqual(['Network'])
  })

  test.each([
    ['8080:80', '127.0.0.1:8080:80', 0],
    ['127.0.0.1:8080:80', '127.0.0.1:8080:80', 0],
    ['0.0.0.0:8080:80', '127.0.0.1:8080:80', 1],
    ['172.20.30.1:8080:80/udp', '127.0.0.1:8080:80/udp', 1],
    ['[::]:8080:80', '127.0.0.1:8080:80', 1],
    ['*:8080:80', '127.0.0.1:8080:80', 1],
    ['8080-8081:80-81/tcp', '127.0.0.1:8080-8081:80-81/tcp', 0],
  ])('PublishPort = %s becomes %s', (value, line, warned) => {
    expect(linesOf({ PublishPort: [value] })).toContain(`PublishPort=${line}`)
    expect(
      checkConfig(configWith({ Container: { Image: image, PublishPort: value } })).warnings,
    ).toHaveLength(warned)
  })

  test('with privileges it is the network of the host, and nothing else is replaced', () => {
    const text = `${leastToml.replace('privileged = false', 'privileged = true')}Container.Network = "pasta"
Container.PodmanArgs = "--memory=64m"
Container.Volume = "/dev:/dev"\n`
    const { config, warnings } = parseConfig(text)
    expect(renderConfig(config!).get('quadlet/web.container')!.content).toBe(
      '[Container]\nImage=registry.example.com/web:1\nNetwork=host\nPodmanArgs=--memory=64m\nVolume=/dev:/dev\n\n[Service]\nTimeoutStartSec=3600\n',
    )
    expect(warnings.map(({ message }) => message)).toEqual(['"pasta" is replaced by "host"'])
  })
})

test('what most applications say is allowed', () => {
  expect(
    linesOf(
      {
        AddHost: 'db:192.0.2.1',
        DropCapability: ['all'],
        Environment: ['A=b', 'C="d e"', 'PRICE=5$'],
        EnvironmentFile: `\${FILES_DIR}/app.env`,
        Exec: 'run --port $PORT',
        Mount: ['type=tmpfs,destination=/tmp,tmpfs-size=1m', 'type=volume,source=data.volume,destination=/v'],
        PublishPort: '8443:8443',
        StopSignal: 'SIGINT',
        Sysctl: 'net.core.somaxconn=1024',
        Timezone: 'Europe/Vienna',
        Tmpfs: '/run:size=1m,mode=1777',
        User: '1000:1000',
        UserNS: 'keep-id:uid=1000,gid=1000',
        Volume: ['data.volume:/data:U', `\${FILES_DIR}/app.conf:/etc/app.conf:ro`, '/cache'],
      },
      {
        Unit: { Description: 'It costs $5', After: 'a.service b.service', ConditionPathExists: '/x' },
        Install: { WantedBy: 'default.target' },
      },
    ),
  ).toEqual([
    ...['[Unit]', 'After=a.service b.service', 'ConditionPathExists=/x', 'Description=It costs $5', ''],
    ...[
      '[Container]',
      'AddHost=db:192.0.2.1',
      'DropCapability=all',
      'Environment=A=b',
      'Environment=C="d e"',
    ],
    ...['Environment=PRICE=5$', 'EnvironmentFile=/data/config/files/app.env', 'Exec=run --port $PORT'],
    `Image=${image}`,
    ...[
      'Mount=type=tmpfs,destination=/tmp,tmpfs-size=1m',
      'Mount=type=volume,source=data.volume,destination=/v',
    ],
    ...[
      'Network=pasta',
      'PublishPort=127.0.0.1:8443:8443',
      'StopSignal=SIGINT',
      'Sysctl=net.core.somaxconn=1024',
    ],
    ...['Timezone=Europe/Vienna', 'Tmpfs=/run:size=1m,mode=1777', 'User=1000:1000'],
    ...['UserNS=keep-id:uid=1000,gid=1000', 'Volume=data.volume:/data:U'],
    ...['Volume=/data/config/files/app.conf:/etc/app.conf:ro', 'Volume=/cache', ''],
    ...['[Service]', 'TimeoutStartSec=3600', ''],
    ...['[Install]', 'WantedBy=default.target', ''],
  ])
})

describe('under whom it runs', () => {
  const modesOf = (config: unknown) => {
    const { config: valid, problems } = checkConfig(config)
    expect(problems).toEqual([])
    const runtime = JSON.parse(renderConfig(valid!).get('quadlet-runtime.json')!.content) as {
      unit: string
      mode: string
    }[]
    return runtime.map(({ unit, mode }) => `${unit} ${mode}`)
  }
  const build = {
    b: {
      Build: { ImageTag: 'localhost/b', File: `\${FILES_DIR}/Containerfile`, Volume: `\${FILES_DIR}:/f` },
    },
  }

  test('volumes and builds follow the containers that use them; what nobody uses gets no privileges', () => {
    const container = {
      app: { privileged: false, Container: { Image: image, Volume: 'shared.volume:/s' } },
      root: {
        privileged: true,
        Container: { Image: 'b.build', Volume: ['shared.volume:/s', 'own.volume:/o'] },
      },
    }
    const volume = {
      shared: { Volume: {} },
      own: { Volume: { Device: '/dev/sda1' } },
      unused: { Volume: {} },
    }
    const config = { ...configWith({}), containers: { container, volume, build } }
    expect(modesOf(config)).toEqual([
      ...['app.container rootless', 'root.container rootful', 'own.volume rootful', 'shared.volume rootful'],
      ...['shared.volume rootless', 'unused.volume rootless', 'b.build rootful'],
    ])
  })

  test('a volume that both use has to stay within bounds', () => {
    const container = {
      app: { privileged: false, Container: { Image: image, Volume: 'own.volume:/s' } },
      root: { privileged: true, Container: { Image: image, Volume: 'own.volume:/o' } },
    }
    const config = {
      ...configWith({}),
      containers: { container, volume: { own: { Volume: { Device: '/dev/sda1' } } } },
    }
    expect(checkConfig(config).problems.map(({ path }) => pathText(path))).toEqual([
      'containers.volume.own.Volume.Device',
    ])
  })
})

/** Arguments of podman that no line may give, read as Quadlet and systemd would split it. */
const forbidden =
  /(?:^|[\s"'])(?:--privileged|--net(?:work)?[= ]host|--cap-add|--device|--pid|--ipc|--uts|-v\/|--volume=\/)/

test.each([1, 2, 3])(
  'random values for every directive: nothing that leads out is rendered (seed %i)',
  (seed) => {
    const random = new Random(seed)
    const pieces = [
      ...[
        '/',
        '/etc',
        '..',
        '$HOME',
        '%h',
        '--privileged',
        ' ',
        ',',
        ':',
        '=',
        '"',
        "'",
        '\\',
        'data',
        'data.volume',
        '\n',
      ],
      ...[
        `\${FILES_DIR}`,
        `\${CONFIG_DIR}`,
        'host',
        'pasta',
        '0.0.0.0',
        '8080',
        '80',
        'type=bind',
        'source=/etc',
        'x',
        'true',
        '-',
      ],
    ]
    const value = () => random.list(5, () => random.pick(pieces)).join('')
    let accepted = 0
    for (const name of Object.keys(directives.Container)) {
      for (let count = 0; count < 60; count += 1) {
        const drawn =
          random.below(5) === 0
            ? hostileValue(random)
            : random.below(2) === 0
              ? value()
              : random.list(3, value)
        const { config } = checkConfig(configWith({ Container: { Image: image, [name]: drawn } }))
        if (config === undefined) continue
        accepted += 1
        const content = renderConfig(config).get('quadlet/app.container')!.content
        for (const line of content.split('\n')) {
          const directive = line.slice(0, line.indexOf('='))
          const text = line.slice(line.indexOf('=') + 1)
          if (
            ['Exec', 'Environment', 'Label', 'HealthCmd', 'HealthStartupCmd', 'Entrypoint'].includes(
              directive,
            )
          )
            continue
          expect(line).not.toMatch(forbidden)
          expect(text).not.toMatch(/[$%"'\\]/)
          if (/^(?:Volume|EnvironmentFile)$/.test(directive) && text.includes(':') && text.startsWith('/')) {
            expect(text).toMatch(/^\/data\/config\/files(?:[:/])/)
            expect(text.split(':')[0]).not.toContain('..')
          }
        }
      }
    }
    expect(accepted).toBeGreaterThan(500)
  },
)
