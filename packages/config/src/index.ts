export * from './boot-environment.ts'
export * from './disk.ts'
export * from './slots.ts'
