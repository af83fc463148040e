export * from './event.ts'
export * from './life-cycle.ts'
export * from './parse-log.ts'
export * from './render-events.ts'
