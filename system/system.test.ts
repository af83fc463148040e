import { evaluate, renderProblems } from '@atomixos/image/definition/index.ts'
import { describe, expect, test } from 'vitest'
import { boards } from './index.ts'
import { hardening } from './modules/hardening.ts'

describe.each(Object.values(boards))('board $name', ({ rootfs, initrd, firmware, kernelArguments }) => {
  test.each([rootfs, initrd])('the modules of $name agree', (definition) => {
    expect(renderProblems(evaluate(definition).problems ?? [])).toBe('')
  })

  test('nothing is forwarded, by any setting', () => {
    const { claims } = evaluate(rootfs).evaluated!
    const claim = claims.get('/usr/lib/sysctl.d/90-system.conf')
    const text = claim?.type === 'file' ? String(claim.file.body) : ''
    expect(text).toContain('net.ipv4.ip_forward = 0\n')
    expect(text).toContain('net.ipv6.conf.all.forwarding = 0\n')
    expect(text).not.toMatch(/forward\w* = [^0]/)
  })

  test('the network waits for the rules, and for the settings of an operator', () => {
    const { claims } = evaluate(rootfs).evaluated!
    const text = (path: string) => {
      const claim = claims.get(path)
      return claim?.type === 'file' ? String(claim.file.body) : ''
    }
    expect(text('/usr/lib/systemd/system/systemd-networkd.service.d/10-firewall.conf')).toBe(
      '[Unit]\nRequires=nftables.service\nAfter=nftables.service\n',
    )
    expect(text('/usr/lib/systemd/system/nftables.service.d/10-device.conf')).toBe('[Service]\nExecStop=\n')
    const activation = text('/usr/lib/systemd/system/activation.service')
    expect(activation).toMatch(/^Before=systemd-networkd\.service dnsmasq\.service chrony\.service /m)
    // Nothing is started where there is nothing to apply: one of these has to be there.
    expect(activation.match(/^ConditionPathExists=\|.*$/gm)).toHaveLength(6)
  })

  test('nothing waits for the log on /data, and it is stopped after what it is about', () => {
    const { claims } = evaluate(rootfs).evaluated!
    const files = [...claims].flatMap(([path, claim]) =>
      claim.type === 'file' && path.startsWith('/usr/lib/systemd/')
        ? [[path, String(claim.file.body)] as const]
        : [],
    )
    const unit = files.find(([path]) => path.endsWith('/system-log.service'))![1]
    expect(unit).toContain('Before=basic.target shutdown.target\n')
    expect(unit).toContain('Type=exec\n')
    const waiting = files.filter(([, text]) => /^(?:After|Requires|BindsTo)=.*system-log/m.test(text))
    expect(waiting.map(([path]) => path)).toEqual([])
    // rsyslog/rsyslog#7477: the first rotation would be the end of the log.
    const config = claims.get('/etc/rsyslog.conf')
    const text = config?.type === 'file' ? String(config.file.body) : ''
    expect(text).toContain('rotation.sizeLimit=')
    expect(text).not.toContain('asyncWriting="on"')
  })

  test('with a root shell on the console nothing restarts by itself, and nothing else is on that line', () => {
    const { claims } = evaluate(rootfs).evaluated!
    const units = '/usr/lib/systemd/system'
    for (const path of [
      `${units}/slot-deadline.timer`,
      `${units}/os-upgrade.service`,
      `${units}/serial-getty@.service.d/10-rescue.conf`,
      `${units}/emergency.service.d/20-rescue.conf`,
    ]) {
      const claim = claims.get(path)
      const text = claim?.type === 'file' ? String(claim.file.body) : ''
      expect(text, path).toContain('ConditionKernelCommandLine=!atomixos.rescue=1\n')
    }
    const shell = claims.get(`${units}/rescue-shell.service`)
    const text = shell?.type === 'file' ? String(shell.file.body) : ''
    expect(text).toContain('ConditionKernelCommandLine=atomixos.rescue=1\n')
    expect(text).toContain('TTYPath=/dev/console\n')
  })

  test('no service of ours is without the sandbox that all of them can have', () => {
    const { units, claims } = evaluate(rootfs).evaluated!
    const services = [...units.keys()].filter((name) => name.endsWith('.service'))
    expect(services).toContain('slot-deadline.service')
    const without = [
      // A person's shell, for who asked U-Boot for it.
      /^rescue-shell\.service: /,
      // It has a file system of its own to look into, whose module may not be there yet.
      /^claim-code\.service: (ProtectKernelModules|RestrictNamespaces)$/,
    ]
    const open = [...services, 'rauc.service.d/10-device.conf'].flatMap((name) => {
      const claim = claims.get(`/usr/lib/systemd/system/${name}`)
      const text = claim?.type === 'file' ? String(claim.file.body) : ''
      return Object.keys(hardening)
        .filter((directive) => !new RegExp(`^${directive}=`, 'm').test(text))
        .map((directive) => `${name}: ${directive}`)
        .filter((text) => !without.some((pattern) => pattern.test(text)))
    })
    expect(open).toEqual([])
  })

  test('every account has an id that Debian gives to no other, and no shell but root', () => {
    const { users } = evaluate(rootfs).evaluated!
    const withShell = [...users]
      .filter(([, { shell }]) => shell !== '/usr/sbin/nologin')
      .map(([name]) => name)
    expect(withShell).toEqual(['root'])
  })

  test('the firmware for tests is built, and at most one is flashed', () => {
    expect(firmware.map(({ name }) => name)).toContain('qemu')
    expect(firmware.filter(({ flashed }) => flashed).length).toBeLessThanOrEqual(1)
  })

  test('a panic restarts, so that the boot counter can choose; both copies of the partition table serve', () => {
    expect(kernelArguments).toContain('gpt')
    expect(kernelArguments.find((argument) => argument.startsWith('panic='))).toMatch(/=[1-9]/)
  })

  test('no unit of ours has a setting that needs a security module which the kernel is not told to start', () => {
    const modules = kernelArguments.find((argument) => argument.startsWith('lsm='))!.slice('lsm='.length)
    const needs = { RestrictFileSystems: 'bpf', AppArmorProfile: 'apparmor', SmackProcessLabel: 'smack' }
    const units = JSON.stringify([rootfs, initrd].flatMap((tree) => tree.modules.map(({ units }) => units)))
    const missing = Object.entries(needs).filter(
      ([setting, module]) => units.includes(`"${setting}"`) && !modules.split(',').includes(module),
    )
    expect(missing).toEqual([])
  })
})

test('both boards run the same root and initrd: what is tested is what is flashed', () => {
  expect(boards.qemu?.rootfs).toBe(boards.rock64?.rootfs)
  expect(boards.qemu?.initrd).toBe(boards.rock64?.initrd)
  expect(boards.qemu?.kernelArguments).toBe(boards.rock64?.kernelArguments)
})
