import { lanDefaults } from '../lan.ts'
import { hostNetworkDefaults } from '../network/host-network.ts'
import { parseIpv4, parseIpv4Cidr } from '../network/ipv4.ts'
import { isDnsName, isIpAddress } from '../network/names.ts'
import { directiveTable } from './quadlet/directives.ts'
import {
  choice,
  directive,
  flag,
  list,
  names,
  type Schema,
  type TableNode,
  table,
  text,
  type ValueOf,
  wholeNumber,
} from './words.ts'

/**
 * The operator contract, version 1: the single source of what `config.toml` may say. What takes more than one key to
 * decide is in the rules (check-config.ts). Names and presets are fixed: devices in the field have been set up with them.
 */

const dnsPattern = '^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$'
const addressPattern = '^[0-9]{1,3}(?:\\.[0-9]{1,3}){3}$'
const cidrPattern = '^[0-9]{1,3}(?:\\.[0-9]{1,3}){3}/[0-9]{1,2}$'

const address = (about: string, more: { preset?: string; example?: string } = {}) =>
  text({
    about,
    ...more,
    what: 'an IPv4 address',
    accept: (value) => parseIpv4(value) !== undefined,
    pattern: addressPattern,
    hint: 'four numbers from 0 to 255, such as "192.0.2.1"',
  })

const cidr = (about: string, more: { preset?: string; example?: string } = {}) =>
  text({
    about,
    ...more,
    what: 'an IPv4 address with prefix length',
    accept: (value) => parseIpv4Cidr(value) !== undefined,
    pattern: cidrPattern,
    hint: `write it with its prefix length, for example "${more.example ?? more.preset}"`,
  })

const dnsName = (about: string, more: { preset?: string; example?: string } = {}) =>
  text({ about, ...more, what: 'a DNS name', accept: isDnsName, pattern: dnsPattern })

const dnsServers = list(
  text({
    about: 'The IPv4 or IPv6 address of a server.',
    what: 'an IP address',
    accept: isIpAddress,
    pattern: '^[0-9A-Fa-f:.]+$',
  }),
  {
    about: 'DNS servers, used instead of those that DHCP tells of.',
    preset: [],
    example: ['192.0.2.53'],
    itemsMax: 32,
  },
)

const searchDomains = list(dnsName('A domain.'), {
  about: 'Domains in which short names are looked up.',
  preset: [],
  example: ['example.com'],
  itemsMax: 32,
})

const ports = (protocol: string) =>
  list(wholeNumber(1, 65_535, { about: 'A port.', what: 'a port' }), {
    about: `${protocol} ports that may be reached.`,
    preset: [],
    example: [443],
    itemsMax: 65_535,
  })

const portScope = (about: string) => table(about, {}, { tcp: ports('TCP'), udp: ports('UDP') })

const user = table(
  'Somebody who logs in by SSH key. There are no passwords.',
  {},
  {
    isAdmin: flag({
      about: 'Administrators become root with `run0`, and their keys sign requests to the API.',
      preset: false,
    }),
    ssh_key: text({
      about: 'One public key, as it stands in the `.pub` file. Administrators need one.',
      example: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILFNjNtdKFTxnnwbjuukUdxKtdNgKT3OUSv00NmpdrJU alice@desk',
      what: 'a public key',
      // Looked at by a rule, which can say what is wrong with it.
      accept: () => true,
      pattern: '^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+ +[A-Za-z0-9+/]+=*(?: [^\\u0000-\\u001f]*)?$',
    }),
    shell: choice(['bash', 'sh', 'zsh'], {
      about: 'The login shell; left out: zsh for administrators, bash for others.',
    }),
  },
)

const networkInterface = table(
  'A network card. `eth0` is the WAN; `eth1` is the LAN, whose gateway this device is.',
  {
    mode: choice(['dhcp', 'static'], { about: 'Where the address comes from. `eth1` is static.' }),
  },
  {
    address: cidr('The address with prefix length; with `static` only, and needed there.', {
      example: '192.0.2.7/24',
    }),
    gateway: address('The way to other networks.', { example: '192.0.2.1' }),
    dns_servers: dnsServers,
    dns_search_domains: searchDomains,
  },
)

const dnsmasq = table(
  'The LAN: addresses and names of the machines behind the gateway.',
  {},
  {
    enable: choice([true], {
      about: 'The LAN is always served.',
      preset: true,
      hint: 'the LAN cannot do without',
    }),
    interface: choice([lanDefaults.interface], {
      about: 'The LAN is always the first USB adapter.',
      preset: lanDefaults.interface,
    }),
    gateway_cidr: cidr("The gateway's own address in the LAN; prefix length 16 to 30.", {
      preset: lanDefaults.gatewayCidr,
    }),
    dhcp_start: address('The first address that is given to a machine.', { preset: lanDefaults.dhcpStart }),
    dhcp_end: address('The last one.', { preset: lanDefaults.dhcpEnd }),
    domain: dnsName('The domain of the LAN.', { preset: lanDefaults.domain }),
    hostname_pattern: text({
      about:
        'The name of each machine; `{mac}` stands for the 12 hexadecimal digits of its hardware address. Left out: machines are called what they call themselves.',
      example: 'machine-{mac}',
      what: 'a DNS name with {mac} in it',
      accept: (value) => value.includes('{mac}') && isDnsName(value.replaceAll('{mac}', '0a1b2c3d4e5f')),
      hint: 'for example "machine-{mac}"',
      pattern: '^[A-Za-z0-9.{}-]*\\{mac\\}[A-Za-z0-9.{}-]*$',
    }),
    gateway_aliases: list(dnsName('A name.'), {
      about: 'Further names of the gateway.',
      preset: lanDefaults.gatewayAliases,
      itemsMax: 64,
    }),
  },
)

const network = table(
  'Addresses, name servers, time servers, and what may come in.',
  {},
  {
    dns_servers: dnsServers,
    dns_search_domains: searchDomains,
    default_gateway: address('The gateway of `eth0`.', { example: '192.0.2.1' }),
    interfaces: names(networkInterface, {
      about: 'Cards by name.',
      placeholder: '<ethN>',
      what: 'the name of a card',
      pattern: '^eth(?:0|[1-9][0-9]{0,2})$',
      example: 'eth0',
    }),
    dnsmasq,
    ntp: table(
      'Where the time comes from. The gateway serves it to the LAN.',
      {},
      {
        servers: list(
          text({
            about: 'A host name or an IP address.',
            what: 'a host name or an IP address',
            accept: (value) => isDnsName(value) || isIpAddress(value),
            pattern: '^[A-Za-z0-9:](?:[A-Za-z0-9.:-]*[A-Za-z0-9:])?$',
          }),
          {
            about: 'Time servers. An empty list: the gateway has its own clock only.',
            preset: hostNetworkDefaults.ntpServers,
            itemsMax: 32,
          },
        ),
      },
    ),
    firewall: table(
      'What may come in.',
      {},
      {
        inbound: table(
          'Ports, by the side they are reached from.',
          {},
          {
            wan: portScope(
              'From the internet: closed unless a port is listed. TCP 8080 cannot be; TCP 22 is opened by the file `ssh-wan-enabled` alone.',
            ),
            lan: portScope(
              "From the LAN: open unless ports are listed; then those, and the platform's own (UDP 53, 67-68, 123; TCP 22, 53, 8080).",
            ),
          },
        ),
      },
    ),
  },
)

const containerName = '^[A-Za-z0-9_][A-Za-z0-9_-]{0,199}$'

const containerNamePattern = new RegExp(containerName)

const containerNames = (about: string, more: { itemsMin?: number; example?: readonly string[] } = {}) =>
  list(
    text({
      about: 'The name of a container.',
      what: 'the name of a container',
      accept: (value) => containerNamePattern.test(value),
      pattern: containerName,
    }),
    { about, ...more },
  )

const activation = table(
  'When a configuration counts as running. One that does not come up is taken back.',
  {
    required: containerNames('Containers that have to run.', { itemsMin: 1, example: ['web'] }),
  },
  {
    timeout_seconds: wholeNumber(1, 3600, {
      about: 'How long they may take to come up.',
      preset: 300,
    }),
    settle_seconds: wholeNumber(0, 300, { about: 'How long they then have to stay up.', preset: 0 }),
    restart: containerNames('Containers that are started again even when nothing of theirs has changed.'),
    allow_degraded: containerNames(
      'Containers that may fail. Left out: any that is not required may, and it is reported. Given: any other failure fails the activation.',
    ),
    strategy: choice(['rollback'], {
      about: 'What happens when it does not come up: the configuration before it is put back.',
      preset: 'rollback',
    }),
  },
)

const osUpgrade = table(
  'Where releases of the system come from. Left out: nobody is asked.',
  {
    server_url: text({
      about: 'An https URL with a host name, without credentials, query or fragment.',
      example: 'https://updates.example.com',
      what: 'an https URL without credentials, query or fragment',
      accept: isServerUrl,
      hint: 'for example "https://updates.example.com"',
      pattern: '^[Hh][Tt][Tt][Pp][Ss]://[^/?#@\\\\\\s]+(?:/[^?#\\\\\\s]*)?$',
    }),
  },
  {},
)

const named = <T>(value: Schema<T>, about: string, namesMin = 0) =>
  names(value, {
    about,
    placeholder: '<name>',
    what: 'a name of letters, digits, hyphens and underscores',
    pattern: containerName,
    namesMin,
    example: 'web',
  })

const unitDirectives = (about: string) =>
  names(directive('A directive, as in systemd.unit(5).'), {
    about,
    placeholder: '<Directive>',
    what: 'the name of a directive',
    pattern: '^[A-Za-z][A-Za-z0-9]*$',
    example: 'Description',
  })

const container = table(
  'A container, run by Quadlet.',
  {
    privileged: flag({
      about:
        "true: as root, in the host's network. false: without privileges, under the account `appsvc`, with published ports on 127.0.0.1 only.",
    }),
    Container: directiveTable('Container'),
  },
  {
    Unit: unitDirectives('Order and conditions, as in systemd.unit(5).'),
    Install: unitDirectives('What starts it besides the activation, as in systemd.unit(5).'),
  },
)

const containers = table(
  'Applications: Podman Quadlets, section by section.',
  {
    container: named(container, 'Containers by name; at least one.', 1),
  },
  {
    network: named(
      table('A network of podman.', { Network: directiveTable('Network') }, {}),
      'Networks by name.',
    ),
    volume: named(
      table('A volume that is kept.', { Volume: directiveTable('Volume') }, {}),
      'Volumes by name.',
    ),
    build: named(
      table('An image that is built on the device.', { Build: directiveTable('Build') }, {}),
      'Builds by name.',
    ),
  },
)

const parts = table(
  'The configuration of an AtomixOS device.',
  {
    version: choice([1], { about: 'The version of this contract.', example: 1 }),
    users: names(user, {
      about: 'People by name; at least one administrator with a key.',
      placeholder: '<name>',
      what: 'a user name',
      pattern: '^[a-z_][a-z0-9_-]{0,31}$',
      example: 'alice',
    }),
    activation,
    containers,
  },
  { network, os_upgrade: osUpgrade },
)

/** In the order of the contract, which is that of the canonical form too. */
const order = ['version', 'users', 'network', 'activation', 'os_upgrade', 'containers'] as const

export const operatorSchema: typeof parts & TableNode = {
  ...(parts as TableNode),
  keys: Object.fromEntries(order.map((key) => [key, (parts as TableNode).keys[key]!])),
}

/** What an operator said, as it was said: presets are not in it. */
export type OperatorConfig = ValueOf<typeof operatorSchema>
export type ContainerConfig = OperatorConfig['containers']['container'][string]
export type NetworkConfig = NonNullable<OperatorConfig['network']>

function isServerUrl(value: string): boolean {
  if (value.length > 2048 || !/^https:\/\/[^/]/i.test(value) || /[^\x21-\x7e]|[?#\\]/.test(value))
    return false
  if (!URL.canParse(value)) return false
  const { hostname, username, password } = new URL(value)
  return hostname !== '' && username === '' && password === '' && !/^https:\/\/[^/]*@/i.test(value)
}
