import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { argumentsInVm, cacheDirInVm, limaCalls, limaConfig, renderLimaConfig } from './lima-config.ts'

const rootDir = join(import.meta.dirname, '../../../..')
const text = { type: 'string', minLength: 1 }
const script = { type: 'string', pattern: '^#!/bin/(ba)?sh\n' }
const list = (properties: Record<string, object>, required = Object.keys(properties)) => ({
  type: 'array',
  items: { type: 'object', properties, required, additionalProperties: false },
})

/** The words that we use, as `templates/default.yaml` of Lima 2.0 documents them. */
const documented = {
  type: 'object',
  additionalProperties: false,
  properties: {
    minimumLimaVersion: { type: 'string', pattern: '^[0-9]+\\.[0-9]+\\.[0-9]+$' },
    base: { type: 'array', items: { type: 'string', pattern: '^template:' } },
    cpus: { type: 'integer', minimum: 1 },
    memory: { type: 'string', pattern: '^[0-9]+GiB$' },
    disk: { type: 'string', pattern: '^[0-9]+GiB$' },
    mounts: list({ location: { type: 'string', pattern: '^/' }, writable: { type: 'boolean' } }),
    containerd: {
      type: 'object',
      properties: { system: { type: 'boolean' }, user: { type: 'boolean' } },
      additionalProperties: false,
    },
    provision: list({ mode: { enum: ['system', 'user', 'boot', 'dependency', 'ansible'] }, script }),
    probes: list({ mode: { const: 'readiness' }, description: text, script, hint: text }),
  },
}

describe('the configuration of the virtual machine', () => {
  const config = limaConfig({ rootDir: '/Users/ann/atomix os', cpus: 8 })

  test('has the words that Lima documents', () => {
    const validate = new Ajv({ allErrors: true }).compile(documented)
    validate(JSON.parse(renderLimaConfig(config)))
    expect(validate.errors).toBeNull()
  })

  test('lets the machine write into the checkout, at its own path, and into nothing else of the host', () => {
    expect(config.mounts).toEqual([{ location: '/Users/ann/atomix os', writable: true }])
  })

  test('has what the program starts with, and a cache of its own; scripts may run at every start', async () => {
    expect(config.provision[0]!.script).toContain('nodejs npm')
    expect(config.provision[0]!.script).toContain(cacheDirInVm)
    for (const { script } of [...config.provision, ...config.probes]) {
      await new Promise<void>((resolve, reject) => {
        const sh = execFile('sh', ['-n'], (error) => (error ? reject(error) : resolve()))
        sh.stdin!.end(script.replaceAll(/\{\{\.\w+\}\}/g, 'ann'))
      })
    }
  })
})

describe('what is called', () => {
  test.each([
    [['build', '--lima'], ['build']],
    [
      ['build', '--lima', '--vm', 'lab', '--level', '3'],
      ['build', '--level', '3'],
    ],
    [
      ['e2e', '--vm=lab', 'rauc-slots'],
      ['e2e', 'rauc-slots'],
    ],
    [
      ['bench', 'build', '--lima', '--', '--vm', 'x'],
      ['bench', 'build', '--', '--vm', 'x'],
    ],
  ])('%j in the machine is %j', (args, expected) => {
    expect(argumentsInVm(args)).toEqual(expected)
  })

  test('a machine that is there is started, one that is not is made; then the same command in it', () => {
    const options = {
      ...{ name: 'lab', configPath: '/c/lab.yaml', rootDir: '/src', args: ['check', '--lima'] },
      env: { ATOMIXOS_DEBIAN_MIRROR: 'http://mirror.example/debian', HOME: '/Users/ann' },
    }
    expect(limaCalls({ ...options, exists: true }).start).toEqual(['start', '--tty=false', 'lab'])
    const { start, run } = limaCalls({ ...options, exists: false })
    expect(start).toEqual(['start', '--tty=false', '--name=lab', '/c/lab.yaml'])
    expect(run).toEqual([
      ...['shell', '--workdir', '/src', 'lab', 'env', `ATOMIXOS_CACHE_DIR=${cacheDirInVm}`],
      ...['ATOMIXOS_DEBIAN_MIRROR=http://mirror.example/debian', '/src/atomixos', 'check'],
    ])
  })
})

/** Lima does not run here: a program of its name writes down how it was called. */
describe('./atomixos COMMAND --lima', () => {
  let dir: string
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'lima-'))
    const path = join(dir, 'limactl')
    await writeFile(
      path,
      `#!/bin/sh\nprintf '%s\\n' "$*" >>${dir}/calls\ncase $1 in list) echo lab ;; shell) exit 7 ;; esac\n`,
    )
    await chmod(path, 0o755)
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  function atomixos(args: readonly string[], path: string): Promise<{ code: number; stderr: string }> {
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [join(rootDir, 'packages/cli/src/main.ts'), ...args],
        { cwd: rootDir, env: { PATH: path, ATOMIXOS_CACHE_DIR: join(dir, 'cache') } },
        (error, _, stderr) => resolve({ code: Number(error?.code ?? 0), stderr }),
      )
    })
  }
  const calls = async () => {
    const made = (await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n')
    await rm(join(dir, 'calls'))
    return made
  }

  test("starts the machine, runs the command in it, and ends with that command's exit code", async () => {
    const { code } = await atomixos(['e2e', 'rauc-slots', '--lima', '--vm', 'lab'], `${dir}:/usr/bin:/bin`)
    expect(code).toBe(7)
    expect(await calls()).toEqual([
      'list --quiet',
      'start --tty=false lab',
      `shell --workdir ${rootDir} lab env ATOMIXOS_CACHE_DIR=${cacheDirInVm} ${rootDir}/atomixos e2e rauc-slots`,
    ])
  })

  test('writes the configuration of a machine that is to be made', async () => {
    await atomixos(['check', '--lima'], `${dir}:/usr/bin:/bin`)
    const config = join(dir, 'cache/lima/atomixos.yaml')
    expect((await calls())[1]).toBe(`start --tty=false --name=atomixos ${config}`)
    expect(JSON.parse(await readFile(config, 'utf8')).mounts).toEqual([{ location: rootDir, writable: true }])
  })

  test('says what is missing without Lima, and what a name looks like', async () => {
    expect(await atomixos(['check', '--lima'], join(dir, 'nothing'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('install Lima 2.0 or newer'),
    })
    expect((await atomixos(['check', '--lima', '--vm', 'A b'], dir)).code).toBe(2)
  })
})
