export * from './event.ts'
export * from './parse-log.ts'
export * from './render-events.ts'
