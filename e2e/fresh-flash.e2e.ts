/** A board is flashed and switched on for the first time, then for the second time. */
import { freshFlashMarkerPath, partitions } from '@atomixos/config'
import { createMachine, type Machine } from '@atomixos/machine'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wanAddressOf } from './operator-network.ts'
import { diskBytes, gatewayOptions, storyDir } from './setup.ts'

/** Services with a score above 5, and why. docs/network.md has the list for people. */
const unsandboxed: Readonly<Record<string, string>> = {
  'ssh.service': 'what it may not do, nobody may who logs in',
  'rescue-shell.service': 'a shell, for who asked U-Boot for it',
  'dbus-broker.service': 'as Debian has it; unprivileged, and reached from inside only',
  'nftables.service': 'one program at the start, with a file of the image',
  'kmod-static-nodes.service': "of Debian's kmod, at the start",
  'fstrim.service': 'speaks to the disk',
  'systemd-udevd.service': 'makes devices',
  'openvpn.service': "Debian's own, never started",
  'podman.service': "Debian's own, never started",
  'debug-shell.service': 'a shell, never started',
  'emergency.service': 'a shell, for _RUT_OH_ and broken starts',
  'rescue.service': 'a shell, for _RUT_OH_ and broken starts',
}

describe('fresh-flash', () => {
  let gateway: Machine

  beforeAll(async () => {
    gateway = await createMachine(gatewayOptions(await storyDir('fresh-flash')))
    await gateway.start()
    await gateway.waitForUnit('multi-user.target', { timeoutMs: 300_000 })
  })
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]()
  })

  test('U-Boot finds an empty environment and takes slot A', async () => {
    await gateway.waitForConsoleText(/ab: try slot A/, { from: 0 })
    expect(await gateway.readFile('/proc/cmdline').then(String)).toMatch(/\brauc\.slot=A\b/)
  })

  test('the system is healthy: running, no unit failed', async () => {
    await gateway.waitUntilSucceeds('test "$(systemctl is-system-running)" != starting', {
      timeoutMs: 120_000,
    })
    expect(await gateway.failedUnits()).toEqual([])
    expect((await gateway.execute('systemctl is-system-running')).stdout.trim()).toBe('running')
  })

  test('slot B and /data were made, at the offsets the layout says', async () => {
    const found = (await gateway.succeed('lsblk -bnrpo NAME,PARTLABEL,PARTN,START,SIZE,FSTYPE')).split('\n')
    const rows = found.map((line) => line.split(' ')).filter((row) => row[1] !== '' && row.length > 3)
    const byLabel = new Map(rows.map((row) => [row[1]!, row]))
    expect([...byLabel.keys()].sort()).toEqual(partitions.map((partition) => partition.label).sort())
    for (const partition of partitions) {
      const [, , number, start, size] = byLabel.get(partition.label)!
      expect([partition.label, Number(number), Number(start) * 512]).toEqual([
        partition.label,
        partition.number,
        partition.offsetBytes,
      ])
      if (partition.sizeBytes !== undefined) expect(Number(size)).toBe(partition.sizeBytes)
      else expect(Number(size)).toBeGreaterThan(diskBytes - partition.offsetBytes - 2 * 1024 * 1024)
    }
    expect(await gateway.succeed('findmnt -no FSTYPE,TARGET /data')).toMatch(/^f2fs +\/data/)
  })

  test('root is an overlay of squashfs and memory', async () => {
    expect((await gateway.succeed('findmnt -no FSTYPE /')).trim()).toBe('overlay')
  })

  test('the first boot after flashing is marked', async () => {
    await gateway.succeed(`test -e ${freshFlashMarkerPath}`)
  })

  test('root is locked, and no account has a password or a key', async () => {
    const shadow = (await gateway.succeed('cat /etc/shadow')).trim().split('\n')
    for (const line of shadow) expect(line.split(':')[1]).toMatch(/^[!*]+$/)
    await gateway.fail('find / -xdev -name authorized_keys | grep .')
    // Only the device's own host keys, made on this boot and kept on /data, may be private keys.
    await gateway.fail(
      "grep -rl --exclude-dir=proc --exclude-dir=sys --exclude-dir=data 'PRIVATE KEY-----' /etc /root /home /run/sshd 2>/dev/null | grep .",
    )
  })

  test('nothing listens but what is meant to', async () => {
    const sockets = (await gateway.succeed('ss -Htuln')).trim().split('\n').filter(Boolean)
    const open = sockets.map((line) => line.split(/ +/)).map((fields) => `${fields[0]} ${fields[4]}`)
    const remote = open.filter((socket) => !/ (127\.|\[::1\])/.test(socket))
    // SSH, which the firewall keeps off the WAN; the page for the first configuration; the DHCP client's own port on eth0;
    // the time, on the LAN's address.
    const address = await wanAddressOf(gateway)
    const intended = [
      'tcp 0.0.0.0:22',
      'tcp *:22',
      'tcp [::]:22',
      'tcp 0.0.0.0:8080',
      `udp ${address}:68`,
      `udp ${address}%eth0:68`,
      'udp 172.20.30.1:123',
    ]
    expect(remote.filter((socket) => !intended.includes(socket))).toEqual([])
  })

  test('services are sandboxed: scores of systemd-analyze security, 0 best, 10 worst', async () => {
    const said = await gateway.succeed(
      `for unit in $(ls /usr/lib/systemd/system /etc/systemd/system | grep '\\.service$' | grep -v '^systemd-\\|@'); do
        systemd-analyze security --no-pager "$unit" 2>&1 | sed -n 's/.*exposure level for \\([^ ]*\\): \\([0-9.]*\\).*/\\1 \\2/p'
      done`,
      { timeoutMs: 300_000 },
    )
    const scores = new Map(
      said
        .trim()
        .split('\n')
        .map((line) => line.split(' '))
        .map(([unit, score]) => [unit!, Number(score)]),
    )
    for (const [unit, score] of scores) process.stderr.write(`  ${score.toFixed(1).padStart(4)}  ${unit}\n`)
    for (const unit of [
      'dnsmasq',
      'chrony',
      'activation',
      'os-upgrade',
      'openvpn-recovery',
      'ssh-host-key',
      'system-log',
      'last-seen-time',
      'rauc',
      'slot-deadline',
    ]) {
      expect([...scores.keys()]).toContain(`${unit}.service`)
    }
    const open = [...scores].flatMap(([unit, score]) => (score > 5 && !(unit in unsandboxed) ? [unit] : []))
    expect(open).toEqual([])
    // Whoever got a sandbox leaves the list.
    const listed = Object.keys(unsandboxed).filter((unit) => (scores.get(unit) ?? 0) <= 5)
    expect(listed).toEqual([])
  })

  test('the interfaces have their names', async () => {
    const names = (await gateway.succeed('ls /sys/class/net')).trim().split(/\s+/).sort()
    expect(names.filter((name) => name.startsWith('e'))).toEqual(['eth0'])
  })

  test('atomixctl shows it on one screen', async () => {
    // Slot B is found empty when the system has come up, and taken out of the order.
    await gateway.waitUntilSucceeds('test "$(fw_printenv -n BOOT_ORDER)" = A')
    const status = JSON.parse(await gateway.succeed('atomixctl status --json'))
    expect(status).toMatchObject({
      slot: 'A',
      bootOrder: 'A',
      slots: { A: { triesLeft: 3 }, B: { triesLeft: 0 } },
      freshFlash: true,
      failedUnits: [],
      data: { mounted: true, fileSystem: 'f2fs' },
    })
  })

  test('what is written to /data stays over a reboot, what is written to /etc does not', async () => {
    const machineId = await gateway.succeed('cat /etc/machine-id')
    const hostKeys = await gateway.succeed('cat /data/ssh/*.pub')
    await gateway.writeFile('/data/stays', 'here\n')
    await gateway.writeFile('/etc/goes', 'gone\n')
    await gateway.reboot({ timeoutMs: 300_000 })
    await gateway.waitForUnit('multi-user.target', { timeoutMs: 300_000 })
    expect(await gateway.succeed('cat /data/stays')).toBe('here\n')
    await gateway.fail('test -e /etc/goes')
    expect(await gateway.succeed('cat /etc/machine-id')).toBe(machineId)
    expect(await gateway.succeed('cat /data/ssh/*.pub')).toBe(hostKeys)
  })

  test('the second boot is not marked as the first, and still healthy', async () => {
    await gateway.fail(`test -e ${freshFlashMarkerPath}`)
    await gateway.waitUntilSucceeds('test "$(systemctl is-system-running)" != starting', {
      timeoutMs: 120_000,
    })
    expect(await gateway.failedUnits()).toEqual([])
  })

  test('the partition table on the disk is whole, backup included', async () => {
    await gateway.shutdown()
    const table = await gateway.disk.partitions()
    expect(
      table.map(({ label, number, typeId, offsetBytes }) => ({ label, number, typeId, offsetBytes })),
    ).toEqual(
      partitions.map(({ label, number, typeId, offsetBytes }) => ({ label, number, typeId, offsetBytes })),
    )
    const backupHeader = await gateway.disk.read(gateway.disk.sizeBytes - 512, 8)
    expect(backupHeader.toString('latin1')).toBe('EFI PART')
  })
})
