import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { workerAt } from './ask-worker.ts'
import { openClaims } from './claims.ts'
import { formKeyIn } from './form-token.ts'
import { createFront, type FrontLimits } from './front.ts'
import { openNonces } from './nonces.ts'
import { openReport } from './open-report.ts'
import { verifySignature } from './signatures.ts'
import { type Course, createTestBack, type TestBack } from './test-back.ts'
import { createWorker } from './worker.ts'

export interface TestDevice extends AsyncDisposable {
  readonly port: number
  readonly back: TestBack
  readonly configFolder: string
  readonly workerSocket: string
}

export interface TestDeviceOptions {
  /** Empty, short enough for a socket's path. */
  readonly folder: string
  readonly sshKeygen?: readonly [string, ...string[]]
  /** Left out: there is none. */
  readonly claimCode?: string
  /** Left out: the one that tests connect to. */
  readonly lanAddress?: string
  readonly limits?: Partial<FrontLimits>
  /** Left out: the machine's. */
  readonly sinceStartMs?: () => number
}

/** For tests: the real front and the real worker, on this machine's loopback address. */
export async function startTestDevice({
  folder,
  sshKeygen = ['/nowhere/ssh-keygen'],
  claimCode = '',
  limits = {},
  lanAddress = '127.0.0.1',
  sinceStartMs,
}: TestDeviceOptions): Promise<TestDevice> {
  const at = (name: string) => join(folder, name)
  const configFolder = at('config')
  await mkdir(configFolder, { recursive: true })
  await writeFile(at('os-release'), 'IMAGE_VERSION="1.2.3"\n')
  await writeFile(at('claim-code'), `${claimCode}\n`)
  const back = createTestBack(configFolder)
  const state = at('worker')
  const worker = createWorker({
    back,
    nonces: openNonces(state, sinceStartMs),
    claims: openClaims({ codePath: at('claim-code'), folder: state }, sinceStartMs),
    verify: (text, signature) =>
      verifySignature(text, signature, {
        sshKeygen,
        signersPath: join(configFolder, 'admin-signers'),
        folder: state,
      }),
    paths: {
      configFolder,
      rollbackFolder: at('config-rollback'),
      dataUnavailableMarker: at('data-unavailable'),
      osRelease: at('os-release'),
    },
    readLan: async () => ({ address: lanAddress, names: ['atomixos', 'atomixos.local'] }),
    eventLogPath: at('events.jsonl'),
    folder: state,
    openReport: () => openReport(at('report.sock')),
  })
  const reports = serveReports(at('report.tar.gz'))
  reports.listen(at('report.sock'))
  const workerSocket = at('worker.sock')
  worker.listen(workerSocket)
  await once(worker, 'listening')
  const front = createFront({ ask: workerAt(workerSocket), formKey: formKeyIn(at('front')), limits })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  return {
    port: (front.address() as AddressInfo).port,
    ...{ back, configFolder, workerSocket },
    async [Symbol.asyncDispose]() {
      if (back.course === 'hold') back.course = 'fail'
      await back.ended()
      front.closeAllConnections()
      front.close()
      worker.close()
      reports.close()
    },
  }
}

/** In the place of systemd's socket and the program behind it: the file, whatever it holds then; none: nothing. */
function serveReports(path: string): Server {
  return createServer((socket) => {
    socket.on('error', () => {})
    pipeline(createReadStream(path), socket).catch(() => socket.destroy())
  })
}

// As a program: for tests of clients, which may not import this package. One line of JSON says where it is; each line of
// input is the course of the next jobs.
if (import.meta.main) {
  const options = JSON.parse(process.argv[2]!) as TestDeviceOptions
  const device = await startTestDevice(options)
  process.stdout.write(`${JSON.stringify({ port: device.port, configFolder: device.configFolder })}\n`)
  for await (const line of createInterface({ input: process.stdin })) device.back.course = line as Course
  process.exit(0)
}
