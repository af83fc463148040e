import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { lanDefaults } from '@atomixos/config'
import { parseConfig, renderConfig, toToml } from '@atomixos/config/operator/index.ts'
import { leastToml } from '@atomixos/config/operator/test-configs.ts'
import { parse } from 'smol-toml'

/**
 * A configuration with many containers through validation, canonical form and rendering; or what applying one costs a
 * device. Prints, judges nothing.
 */
const help = `Usage: ./atomixos bench config [--containers N] [--runs N] [--json]
       ./atomixos bench config --device [--runs N] [--json]

  --containers N  how many the file has (default 500)
  --device        on the built image in QEMU: what our services add to its start, how long the API takes to its first
                  answer, and what stays in memory when nobody asks
  --runs N        after the first (default 30); with --device: cold starts of the API (default 5)
  --json          the figures as JSON
`

const { values } = parseArgs({
  options: {
    containers: { type: 'string', default: '500' },
    device: { type: 'boolean', default: false },
    runs: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) process.stdout.write(help)
else if (values.device) await onDevice(Number(values.runs ?? 5), values.json)
else measure(Number(values.containers), Number(values.runs ?? 30), values.json)

async function onDevice(rounds: number, json: boolean): Promise<void> {
  const { deviceReport, measureDevice } = await import('./config-device.ts')
  const figures = await measureDevice(rounds)
  process.stdout.write(json ? `${JSON.stringify(figures, undefined, 2)}\n` : deviceReport(figures))
}

interface Row {
  readonly what: string
  readonly firstMs: number
  readonly medianMs: number
  /** On average, of all runs but the first: what other work on the machine does not make longer. */
  readonly cpuMs: number
}

function measure(containers: number, runs: number, json: boolean): void {
  const text = manyContainers(containers)
  const broken = text.replaceAll('ReadOnly = true', 'Readonly = "yes"')
  const { config, problems } = parseConfig(text)
  if (config === undefined) throw new Error(JSON.stringify(problems[0]))
  const rows: Row[] = [
    timed('parse the TOML alone (smol-toml)', runs, () => parse(text)),
    timed('validate', runs, () => parseConfig(text)),
    timed(`validate, ${parseConfig(broken).problems.length} problems with their places`, runs, () =>
      parseConfig(broken),
    ),
    timed('canonical TOML', runs, () => toToml(config)),
    timed(`render ${renderConfig(config, text).size} files`, runs, () => renderConfig(config, text)),
  ]
  if (json) {
    process.stdout.write(`${JSON.stringify({ containers, bytes: text.length, rows }, undefined, 2)}\n`)
    return
  }
  const lines = [
    `${containers} containers, ${(text.length / 1e3).toFixed(0)} kB, ${runs} runs, ${cpus()[0]?.model ?? 'an unknown processor'}`,
    `load when it ended: ${loadavg()[0]!.toFixed(1)} (other work on the machine makes times longer)`,
    '',
    'first ms  median ms  CPU ms',
    ...rows.map(({ what, firstMs, medianMs, cpuMs }) => {
      const figures = [
        firstMs.toFixed(1).padStart(8),
        medianMs.toFixed(1).padStart(9),
        cpuMs.toFixed(1).padStart(6),
      ]
      return [...figures, what].join('  ')
    }),
    '',
    `validation takes ${(rows[1]!.cpuMs / rows[0]!.cpuMs).toFixed(1)} times what the TOML parser alone takes`,
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function timed(what: string, runs: number, run: () => unknown): Row {
  const once = () => {
    const started = performance.now()
    run()
    return performance.now() - started
  }
  const firstMs = once()
  const before = process.cpuUsage()
  const times = Array.from({ length: runs }, once).sort((a, b) => a - b)
  const { user, system } = process.cpuUsage(before)
  return { what, firstMs, medianMs: times[Math.floor(runs / 2)]!, cpuMs: (user + system) / 1000 / runs }
}

function manyContainers(count: number): string {
  const container = (index: number) => `
[containers.container.app-${index}]
privileged = false

[containers.container.app-${index}.Container]
Image = "registry.example.com/plant/app-${index}:1.4.0"
PublishPort = ["${10_000 + index}:8080", "${20_000 + index}:8443/tcp"]
Volume = ["data-${index % 50}.volume:/data", "\${FILES_DIR}/app-${index}.conf:/etc/app.conf:ro"]
Environment = ["LOG_LEVEL=info", "NAME=app-${index}", "GATEWAY=${lanDefaults.gatewayCidr}"]
ReadOnly = true
NoNewPrivileges = true
DropCapability = "all"
HealthCmd = "/bin/app health"

[containers.container.app-${index}.Unit]
Description = "Application ${index}"
After = "app-${Math.max(0, index - 1)}.service"
`
  const volumes = Array.from({ length: 50 }, (_, index) => `[containers.volume.data-${index}.Volume]\n`)
  return [leastToml, ...Array.from({ length: count }, (_, index) => container(index)), ...volumes].join('\n')
}
