import { describe, expect, test } from 'vitest'
import { renderProblem } from '../problem.ts'
import { parseConfig } from './parse-config.ts'
import { leastToml, testKey } from './test-configs.ts'

/** What is wrong with the least configuration and these lines, as an operator reads it. */
function problems(lines: string, base = leastToml): string[] {
  return parseConfig(`${base}\n${lines}`).problems.map(renderProblem)
}

function warnings(lines: string, base = leastToml): string[] {
  const { warnings: found, problems: wrong } = parseConfig(`${base}\n${lines}`)
  expect(wrong).toEqual([])
  return found.map(renderProblem)
}

test('the least that a device takes', () => {
  expect(parseConfig(leastToml)).toMatchObject({ problems: [], warnings: [] })
})

test('nothing: every key that is needed is named', () => {
  expect(parseConfig('').problems.map(renderProblem)).toEqual([
    'version: it is missing\n  for example 1',
    'users: it is missing\n  write a table for each, such as [users.alice]',
    'activation: it is missing\n  write a table [activation]',
    'containers: it is missing\n  write a table [containers]',
  ])
})

test('all problems at once, in the order of the text, each with its place', () => {
  const text = leastToml
    .replace('version = 1', 'version = 2\ncolour = "blue"')
    .replace('privileged = false', 'privileged = "no"')
    .replace('required = ["web"]', 'required = [ "wbe" ]')
  expect(parseConfig(text).problems).toEqual([
    { path: 'version', message: '2 is not allowed', hint: 'allowed: 1', line: 1, column: 1 },
    {
      path: 'colour',
      message: 'there is no such key',
      hint: 'allowed: version, users, network, activation, os_upgrade, containers',
      ...{ line: 2, column: 1 },
    },
    {
      path: 'activation.required[0]',
      message: 'there is no container "wbe"',
      hint: 'did you mean "web"?',
      ...{ line: 7, column: 14 },
    },
    {
      path: 'containers.container.web.privileged',
      message: '"no" is not a boolean',
      hint: 'allowed: true, false',
      ...{ line: 9, column: 1 },
    },
  ])
})

test('what is no TOML has a place as well', () => {
  expect(parseConfig('version = 1\nusers = {').problems).toMatchObject([{ path: '', line: 2, column: 9 }])
})

describe('users', () => {
  const key = (text: string) => `[users.bob]\nssh_key = ${JSON.stringify(text)}`
  const blob = (...fields: (string | number)[]) =>
    Buffer.concat(
      fields.map((field) => {
        const bytes = typeof field === 'number' ? Buffer.alloc(field, 1) : Buffer.from(field)
        const length = Buffer.alloc(4)
        length.writeUInt32BE(bytes.length)
        return Buffer.concat([length, bytes])
      }),
    ).toString('base64')

  test.each([
    testKey,
    `${testKey} bob@desk with more words`,
    `ssh-ed25519 ${blob('ssh-ed25519', 32)}`,
    `ecdsa-sha2-nistp256 ${blob('ecdsa-sha2-nistp256', 'nistp256', 65)}`,
    `ecdsa-sha2-nistp384 ${blob('ecdsa-sha2-nistp384', 'nistp384', 97)}`,
    `ecdsa-sha2-nistp521 ${blob('ecdsa-sha2-nistp521', 'nistp521', 133)}`,
    `ssh-rsa ${blob('ssh-rsa', 3, 257)} x`,
    `sk-ssh-ed25519@openssh.com ${blob('sk-ssh-ed25519@openssh.com', 32, 'ssh:')}`,
    `sk-ecdsa-sha2-nistp256@openssh.com ${blob('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', 65, 'ssh:')}`,
  ])('%s', (text) => {
    expect(problems(key(text))).toEqual([])
  })

  test.each([
    ['', '"" is not a supported type of key'],
    ['ssh-dss AAAA', '"ssh-dss" is not a supported type of key'],
    [`no-pty ${testKey}`, '"no-pty" is not a supported type of key'],
    ['ssh-ed25519', 'the key is not valid base64'],
    [testKey.slice(0, -1), 'the key is not valid base64'],
    [`${testKey}=`, 'the key is not valid base64'],
    [`ssh-ed25519 ${blob('ssh-ed25519', 32).slice(0, 40)}`, 'the key is cut off or damaged'],
    [`ssh-ed25519 ${blob('ssh-rsa', 3, 257)}`, 'the key says ssh-ed25519 in front and is "ssh-rsa" inside'],
    [
      `ssh-ed25519 ${blob('ssh-ed25519', 31)}`,
      'the key is no ssh-ed25519 key: it has other parts or lengths',
    ],
    [
      `ssh-ed25519 ${blob('ssh-ed25519', 32, 1)}`,
      'the key is no ssh-ed25519 key: it has other parts or lengths',
    ],
    [`ssh-rsa ${blob('ssh-rsa', 3, 65)}`, 'the key is no ssh-rsa key: it has other parts or lengths'],
    [
      `ecdsa-sha2-nistp256 ${blob('ecdsa-sha2-nistp256', 'nistp384', 65)}`,
      'the key is no ecdsa-sha2-nistp256 key: it has other parts or lengths',
    ],
    [`${testKey}\n${testKey}`, 'the key has a control character in it'],
    [`${testKey} a\u0007b`, 'the key has a control character in it'],
    [`${testKey} a\u2028b`, 'the key has a control character in it'],
  ])('%j: %s', (text, message) => {
    expect(parseConfig(`${leastToml}\n${key(text)}`).problems).toMatchObject([
      { path: 'users.bob.ssh_key', message },
    ])
  })

  test.each(['root', 'appsvc', 'nobody', 'sshd', 'dnsmasq', '_chrony', 'systemd-network', 'sudo'])(
    '%s is reserved',
    (name) => {
      expect(problems(`[users.${name}]`)).toEqual([
        `users.${name}: the name is reserved for an account of the system\n  choose another`,
      ])
    },
  )

  test.each(['Bob', '1a', 'a.b', 'a b', 'x'.repeat(33), '../x', ''])('%j is no name', (name) => {
    expect(problems(`[users.${JSON.stringify(name)}]`)).toHaveLength(1)
  })

  test('an administrator with a key is needed', () => {
    expect(problems('', leastToml.replace('isAdmin = true', 'isAdmin = false'))).toEqual([
      'users: there is no administrator\n  one user at least needs isAdmin = true and an ssh_key',
    ])
    expect(problems('', leastToml.replace(/ssh_key.*/, ''))).toEqual([
      'users.alice.ssh_key: it is missing\n  an administrator without a key cannot log in',
    ])
  })

  test('another administrator may be without, with a warning', () => {
    expect(warnings('[users.bob]\nisAdmin = true')).toEqual([
      'users.bob.ssh_key: it is missing\n  an administrator without a key cannot log in',
    ])
  })

  test('there are no passwords', () => {
    expect(problems('[users.bob]\npassword = "x"')).toEqual([
      'users.bob.password: there is no such key\n  allowed: isAdmin, ssh_key, shell',
    ])
  })
})

describe('network', () => {
  test.each<[string, string, string[]]>([
    [
      'eth1 is static',
      '[network.interfaces.eth1]\nmode = "dhcp"',
      [
        'network.interfaces.eth1.mode: eth1 is the LAN, and its address never changes\n  write mode = "static" and an address',
      ],
    ],
    [
      'static without an address',
      '[network.interfaces.eth0]\nmode = "static"',
      [
        'network.interfaces.eth0.address: nothing is not an IPv4 address with prefix length\n  for example "192.0.2.7/24"',
      ],
    ],
    [
      'DHCP with an address',
      '[network.interfaces.eth0]\nmode = "dhcp"\naddress = "192.0.2.7/24"',
      [
        'network.interfaces.eth0.address: an interface with DHCP has none\n  leave it out, or say mode "static"',
      ],
    ],
    [
      'an address without a prefix',
      '[network.interfaces.eth0]\nmode = "static"\naddress = "192.0.2.7"',
      [
        'network.interfaces.eth0.address: "192.0.2.7" is not an IPv4 address with prefix length\n  write it with its prefix length, for example "192.0.2.7/24"',
      ],
    ],
    [
      'another card',
      '[network.interfaces.wlan0]\nmode = "dhcp"',
      ['network.interfaces.wlan0: "wlan0" is not the name of a card\n  for example "eth0"'],
    ],
    [
      'two addresses of the LAN',
      '[network.interfaces.eth1]\nmode = "static"\naddress = "10.0.0.1/24"\n[network.dnsmasq]\ngateway_cidr = "172.20.30.1/24"',
      [
        'network.interfaces.eth1.address: it is not the gateway_cidr of [network.dnsmasq]\n  both are the address of the gateway in the LAN: make them equal, or leave one out',
      ],
    ],
    [
      'the LAN is always served',
      '[network.dnsmasq]\nenable = false',
      ['network.dnsmasq.enable: false is not allowed\n  allowed: true; the LAN cannot do without'],
    ],
    [
      'the LAN has its card',
      '[network.dnsmasq]\ninterface = "eth0"',
      ['network.dnsmasq.interface: "eth0" is not allowed\n  allowed: "eth1"'],
    ],
    [
      'too large a LAN',
      '[network.dnsmasq]\ngateway_cidr = "172.20.30.1/15"',
      ['network.dnsmasq.gateway_cidr: the prefix length is 15\n  it is between 16 and 30'],
    ],
    [
      'a range outside',
      '[network.dnsmasq]\ngateway_cidr = "10.0.0.1/24"',
      [
        'network.dnsmasq.dhcp_start: 172.20.30.10 is not in the LAN\n  the LAN is 10.0.0.1 to 10.0.0.254',
        'network.dnsmasq.dhcp_end: 172.20.30.254 is not in the LAN\n  the LAN is 10.0.0.1 to 10.0.0.254',
      ],
    ],
    [
      'a range the wrong way round',
      '[network.dnsmasq]\ndhcp_start = "172.20.30.20"\ndhcp_end = "172.20.30.11"',
      ['network.dnsmasq.dhcp_end: the range ends before it starts'],
    ],
    [
      'a range with the gateway in it',
      '[network.dnsmasq]\ngateway_cidr = "172.20.30.100/24"',
      [
        "network.dnsmasq.dhcp_start: the range holds the gateway's own address\n  start behind it, or end before it",
      ],
    ],
    [
      'a pattern without {mac}',
      '[network.dnsmasq]\nhostname_pattern = "machine"',
      [
        'network.dnsmasq.hostname_pattern: "machine" is not a DNS name with {mac} in it\n  for example "machine-{mac}"',
      ],
    ],
    [
      'a port that is none',
      '[network.firewall.inbound.lan]\nudp = [0, 65536, "53"]',
      [
        'network.firewall.inbound.lan.udp[0]: 0 is not a port\n  allowed: 1 to 65535',
        'network.firewall.inbound.lan.udp[1]: 65536 is not a port\n  allowed: 1 to 65535',
        'network.firewall.inbound.lan.udp[2]: "53" is not a port\n  allowed: 1 to 65535',
      ],
    ],
    [
      '8080 on the WAN',
      '[network.firewall.inbound.wan]\ntcp = [8080]',
      [
        'network.firewall.inbound.wan.tcp: port 8080 is reserved\n  the API is for the LAN: let a proxy with authentication face the WAN',
      ],
    ],
    [
      'servers',
      '[network]\ndns_servers = ["dns.example.com"]\nntp.servers = ["a b"]',
      [
        'network.dns_servers[0]: "dns.example.com" is not an IP address',
        'network.ntp.servers[0]: "a b" is not a host name or an IP address',
      ],
    ],
    [
      'a gateway twice',
      '[network]\ndefault_gateway = "192.0.2.2"\n[network.interfaces.eth0]\nmode = "static"\naddress = "192.0.2.7/24"\ngateway = "192.0.2.1"',
      ['network.default_gateway: 192.0.2.2 is not the gateway 192.0.2.1 of eth0\n  give one of them'],
    ],
    [
      'addresses of the LAN elsewhere',
      '[network.interfaces.eth0]\nmode = "static"\naddress = "172.20.0.7/16"',
      [
        'network.interfaces.eth0.address: 172.20.0.7/16 and the LAN 172.20.30.1/24 share addresses\n  give the LAN another gateway_cidr',
      ],
    ],
    [
      'forwarding',
      '[network.firewall]\nforward = true',
      ['network.firewall.forward: there is no such key\n  allowed: inbound'],
    ],
  ])('%s', (_, lines, expected) => {
    expect(problems(lines)).toEqual(expected)
  })

  test.each([
    '[network]',
    '[network.dnsmasq]\nenable = true\ninterface = "eth1"',
    '[network.interfaces.eth1]\nmode = "static"\naddress = "172.20.30.1/24"',
    '[network.interfaces.eth1]\nmode = "static"\naddress = "172.20.30.1/24"\n[network.dnsmasq]\ngateway_cidr = "172.20.30.1/24"',
    '[network.firewall.inbound.wan]\nudp = [8080]\n[network.firewall.inbound.lan]',
    '[network.ntp]\nservers = []',
  ])('%j is valid', (lines) => {
    expect(problems(lines)).toEqual([])
  })

  test('SSH on the WAN, and servers of the LAN card, have no effect', () => {
    expect(warnings('[network.firewall.inbound.wan]\ntcp = [22]')).toEqual([
      'network.firewall.inbound.wan.tcp: port 22 stays closed; SSH on the WAN is opened by ssh-wan-enabled alone',
    ])
    const card =
      '[network.interfaces.eth1]\nmode = "static"\naddress = "172.20.30.1/24"\ngateway = "172.20.30.2"'
    expect(warnings(card)).toEqual([
      'network.interfaces.eth1.gateway: it has no effect on the LAN\n  nothing is reached through it',
    ])
  })
})

describe('activation', () => {
  const activation = (lines: string) => problems('', leastToml.replace('required = ["web"]', lines))
  test.each<[string, string[]]>([
    ['', ['activation.required: it is missing\n  for example ["web"]']],
    ['required = []', ['activation.required: the list is empty\n  at least 1 is needed']],
    [
      'required = ["web"]\ntimeout_seconds = 0',
      ['activation.timeout_seconds: 0 is too small\n  allowed: 1 to 3600'],
    ],
    [
      'required = ["web"]\ntimeout_seconds = 1.5',
      ['activation.timeout_seconds: 1.5 is not a whole number\n  allowed: 1 to 3600'],
    ],
    [
      'required = ["web"]\nsettle_seconds = 301',
      ['activation.settle_seconds: 301 is too large\n  allowed: 0 to 300'],
    ],
    [
      'required = ["web"]\nallow_degraded = ["web"]',
      [
        'activation.allow_degraded[0]: "web" is in required as well\n  it may fail, or it has to run: take it out of one list',
      ],
    ],
    [
      'required = ["web"]\nrestart = ["other"]',
      ['activation.restart[0]: there is no container "other"\n  there are: web'],
    ],
    [
      'required = ["web"]\nstrategy = "keep"',
      ['activation.strategy: "keep" is not allowed\n  allowed: "rollback"'],
    ],
    [
      'required = ["web", "toString"]',
      ['activation.required[1]: there is no container "toString"\n  there are: web'],
    ],
  ])('%j', (lines, expected) => {
    expect(activation(lines)).toEqual(expected)
  })
})

describe('os_upgrade', () => {
  const url = (text: string) => problems(`[os_upgrade]\nserver_url = ${JSON.stringify(text)}`)
  test.each([
    'https://updates.example.com',
    'https://a.example:8443/x/',
    'https://192.0.2.1',
    'HTTPS://A.example',
  ])('%s', (text) => {
    expect(url(text)).toEqual([])
  })
  test.each([
    ...[
      'http://a.example',
      'https://',
      'https:///x',
      'https://u@a.example',
      'https://u:p@a.example',
      'https://@a.example',
    ],
    ...[
      'https://a.example?x',
      'https://a.example?',
      'https://a.example#x',
      'https://a.example/\nx',
      'https:\\\\a.example',
    ],
    ...[
      'https://a.example/ x',
      'https://a b',
      'file:///etc/passwd',
      '',
      'https://[::1',
      'https://a.example:99999',
    ],
  ])('%j', (text) => {
    expect(url(text)).toHaveLength(1)
  })
})

describe('containers', () => {
  const container = (lines: string) => problems(`[containers.container.x]\n${lines}`)
  test.each<[string, string[]]>([
    [
      'privileged = true',
      ['containers.container.x.Container: it is missing\n  write a table [containers.container.x.Container]'],
    ],
    ['Container.Image = "a"', ['containers.container.x.privileged: it is missing\n  say true or false']],
    [
      'privileged = true\nContainer = {}',
      ['containers.container.x.Container.Image: it is missing\n  for example "docker.io/library/caddy:2"'],
    ],
    [
      'privileged = true\nContainer.Image = ["a", "b"]',
      ['containers.container.x.Container.Image: the list has 2 entries\n  exactly one is needed'],
    ],
    [
      'privileged = true\nContainer.Image = ""',
      ['containers.container.x.Container.Image: it is empty\n  for example "docker.io/library/caddy:2"'],
    ],
    [
      'privileged = true\nContainer.Image = "--privileged"',
      ['containers.container.x.Container.Image: "--privileged" is not the name of an image'],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Enviroment = "A=b" }',
      [
        'containers.container.x.Container.Enviroment: podman 5.4 has no such directive\n  did you mean "Environment"?',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Exec = "a\\nNetwork=x" }',
      [
        'containers.container.x.Container.Exec: "a\\nNetwork=x" has a line break or NUL in it\n  a directive is one line: repeat it with a list',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Exec = ["a", "b\\u0000"] }',
      [
        'containers.container.x.Container.Exec[1]: "b\\u0000" has a line break or NUL in it\n  a directive is one line: repeat it with a list',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Exec = "a\\\\ " }',
      [
        'containers.container.x.Container.Exec: "a\\\\ " ends in a backslash\n  it would swallow the directive after it',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Exec = {} }',
      [
        'containers.container.x.Container.Exec: a table is not the value of a directive\n  allowed: text, numbers, true, false, and lists of these',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Exec = [["b"]] }',
      [
        'containers.container.x.Container.Exec[0]: a list is not the value of a directive\n  allowed: text, numbers, true, false, and lists of these',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Volume = "b.volume:/b" }',
      ['containers.container.x.Container.Volume: there is no volume "b"'],
    ],
    [
      'privileged = true\nContainer.Image = "b.build"',
      ['containers.container.x.Container.Image: there is no build "b"'],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Group = "b" }',
      [
        'containers.container.x.Container.Group: there is no User with it\n  Quadlet takes a Group only with a User',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", Pod = "b.pod" }',
      ['containers.container.x.Container.Pod: there is no pod "b"'],
    ],
    [
      'privileged = true\nContainer.Image = "a"\nUnit."a b" = 1',
      [
        'containers.container.x.Unit."a b": "a b" is not the name of a directive\n  for example "Description"',
      ],
    ],
    [
      'privileged = true\nContainer.Image = "a"\nService.ExecStartPre = "/bin/sh"',
      [
        'containers.container.x.Service: there is no such key\n  allowed: privileged, Container, Unit, Install',
      ],
    ],
    [
      'privileged = true\nContainer.Image = "a"\nInstall.Alias = "../../x.service"',
      [
        'containers.container.x.Install.Alias: "../../x.service" is not the name of a unit\n  for example "multi-user.target"',
      ],
    ],
    [
      'privileged = true\nContainer.Image = "a"\nInstall.Alias = "nftables.service"',
      [
        'containers.container.x.Install.Alias: nftables.service is a service of the system\n  choose another name',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", ServiceName = "sshd" }',
      [
        'containers.container.x.Container.ServiceName: sshd.service is a service of the system\n  choose another name',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", ServiceName = "../x" }',
      [
        'containers.container.x.Container.ServiceName: "../x.service" is not the name of a service\n  letters, digits, hyphens, underscores and dots, without .service',
      ],
    ],
    [
      'privileged = true\nContainer = { Image = "a", ServiceName = "web" }',
      [
        'containers.container.x.Container.ServiceName: web.service is the service of web.container as well\n  choose another name',
      ],
    ],
  ])('%j', (lines, expected) => {
    expect(container(lines)).toEqual(expected)
  })

  test.each(['nftables', 'ssh', 'dnsmasq', 'systemd-networkd', 'activation'])(
    '%s is a service of the system',
    (name) => {
      expect(problems(`[containers.container.${name}]\nprivileged = true\nContainer.Image = "a"`)).toEqual([
        `containers.container.${name}: ${name}.service is a service of the system\n  choose another name`,
      ])
    },
  )

  test('a volume and a container whose services have the same name', () => {
    expect(
      problems(
        '[containers.volume.web.Volume]\n[containers.container.web-volume]\nprivileged = true\nContainer.Image = "a"',
      ),
    ).toEqual([
      'containers.volume.web: web-volume.service is the service of web-volume.container as well\n  choose another name',
    ])
  })

  test.each(['a b', '-a', 'a.b', '../a', 'a/b', ''])('%j is no name', (name) => {
    expect(
      problems(`[containers.container.${JSON.stringify(name)}]\nprivileged = true\nContainer.Image = "a"`),
    ).toHaveLength(1)
  })

  test('what podman 5.4 does not translate is a warning', () => {
    expect(
      warnings(
        '[containers.container.x]\nprivileged = true\nContainer.Image = "a"\nUnit.After = "web.container"',
      ),
    ).toEqual([
      'containers.container.x.Unit.After: podman 5.4 does not know web.container here\n  write the name of its service, such as web.service',
    ])
  })
})

test('names of a hostile file do not speak to a terminal', () => {
  const name = '\u001b]0;x\u0007\u202e\u00fc'
  const container = `[containers.container.${JSON.stringify(name)}]
privileged = false
Container = { Image = "a", PublishPort = "80:80" }
Unit.After = ${JSON.stringify(`${name}.container`)}
[containers.container.other]
privileged = false
Container = { Image = ${JSON.stringify(`${name}.build`)}, PublishPort = "80:80" }`
  const { problems: wrong, warnings: found } = parseConfig(
    `${leastToml.replace('"web"', `"web", ${JSON.stringify(name)}`)}\n${container}`,
  )
  expect(found.length).toBeGreaterThan(2)
  expect(wrong.length).toBeGreaterThan(1)
  for (const problem of [...wrong, ...found]) expect(renderProblem(problem)).toMatch(/^[\x20-\x7e\n]+$/)
})
