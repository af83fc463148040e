import { type ConfigProblem, type OperatorConfig, parseConfig } from '@atomixos/config/operator/index.ts'
import { type BundleLimits, BundleRefused, bundleLimitsOf } from './bundle-limits.ts'
import { readUpload } from './read-upload.ts'
import { problemOf } from './run-job.ts'

export interface ValidatedUpload {
  /** Undefined with a single problem. */
  readonly config: OperatorConfig | undefined
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly ConfigProblem[]
}

/** What a job would say of an upload, without one: a bundle is read to its end, and nothing of it is kept. */
export async function validateUpload(
  upload: Uint8Array,
  limits: BundleLimits = bundleLimitsOf(process.env),
): Promise<ValidatedUpload> {
  const nowhere = { folder() {}, file() {}, data() {}, fileEnd() {} }
  try {
    const { source } = await readUpload(upload, nowhere, { limits })
    return parseConfig(source)
  } catch (error) {
    if (!(error instanceof BundleRefused)) throw error
    return { config: undefined, problems: [problemOf(error)], warnings: [] }
  }
}
