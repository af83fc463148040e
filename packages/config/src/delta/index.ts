export {
  DeltaError,
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRange,
  type DeltaSource,
  type DeltaSourceName,
  type DeltaStep,
  type DeltaTree,
  deltaLimits,
  deltaVersion,
} from './format.ts'
export { HashTree, verityBlockBytes } from './hash-tree.ts'
export { type ReadNext, readDeltaStart, readDeltaStep } from './read-delta.ts'
export { packBlock, type RebuildDoors, rebuildBundle } from './rebuild.ts'
export { deltaEnd, deltaStart, deltaStep } from './write-delta.ts'
