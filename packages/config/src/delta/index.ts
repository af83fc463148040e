export {
  DeltaError,
  type DeltaFrame,
  type DeltaHeader,
  type DeltaRange,
  type DeltaRepacking,
  type DeltaSource,
  type DeltaSourceName,
  type DeltaStep,
  type DeltaTree,
  type DeltaUnpacked,
  deltaLimits,
  deltaVersion,
} from './format.ts'
export { HashTree, verityBlockBytes } from './hash-tree.ts'
export { type ReadNext, readDeltaStart, readDeltaStep, unpackedBytes } from './read-delta.ts'
export { type DeltaScratch, packBlock, type RebuildDoors, rebuildBundle } from './rebuild.ts'
export { repackWhole } from './repack.ts'
export { deltaEnd, deltaStart, deltaStep } from './write-delta.ts'
