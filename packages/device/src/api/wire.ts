import {
  adminSignersPath,
  configFolder,
  configRollbackFolder,
  dataUnavailableMarkerPath,
  eventLogPath,
} from '@atomixos/config'
import { apiService, claimCodePath } from '@atomixos/config/api/index.ts'
import { confirmJob, currentJob, readJob, submitJob } from '../apply/device-jobs.ts'
import { validateUpload } from '../apply/validate-upload.ts'
import { type Back, Unavailable } from './back.ts'
import { openClaims } from './claims.ts'
import { readLan } from './device-state.ts'
import { openNonces } from './nonces.ts'
import { openReport } from './open-report.ts'
import { verifySignature } from './signatures.ts'
import type { WorkerDoors } from './worker-answers.ts'

/** The worker of a device: the one place where its parts are put together. */
export function workerDoors(): WorkerDoors {
  const folder = apiService.workerFolder
  return {
    back,
    nonces: openNonces(folder),
    claims: openClaims({ codePath: claimCodePath, folder }),
    verify: (text, signature) =>
      verifySignature(text, signature, {
        sshKeygen: ['/usr/bin/ssh-keygen'],
        signersPath: adminSignersPath,
        folder,
      }),
    paths: {
      configFolder,
      rollbackFolder: configRollbackFolder,
      dataUnavailableMarker: dataUnavailableMarkerPath,
      osRelease: '/etc/os-release',
    },
    readLan: () => readLan({ configFolder }),
    eventLogPath,
    folder,
    openReport: () => openReport(apiService.reportSocket),
  }
}

const back: Back = {
  // It has a reason that is worth telling: no room, or a system that is on its way down.
  submitJob: (request) =>
    submitJob(request).catch((cause: Error) => {
      throw new Unavailable(cause.message, { cause })
    }),
  readJob,
  currentJob,
  confirmJob,
  validateUpload: (bytes) => validateUpload(bytes),
}
