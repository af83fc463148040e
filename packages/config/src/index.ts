export * from './disk.ts'
export * from './slots.ts'
