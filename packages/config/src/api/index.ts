/** The device's API: what its server and its clients agree on. */
export type * from './documents.ts'
export * from './openapi.ts'
export * from './routes.ts'
export * from './schemas.ts'
export * from './words.ts'
