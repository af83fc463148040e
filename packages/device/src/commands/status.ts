import { observe } from '../observe.ts'
import { parseStatus, renderStatus } from '../status.ts'

export async function status(json: boolean): Promise<number> {
  const seen = parseStatus(await observe())
  process.stdout.write(json ? `${JSON.stringify(seen, null, 2)}\n` : renderStatus(seen))
  return 0
}

export async function version(json: boolean): Promise<number> {
  const seen = parseStatus(await observe())
  process.stdout.write(json ? `${JSON.stringify(seen.version)}\n` : `${seen.version}\n`)
  return 0
}
