export { observe } from './observe.ts'
export { parseStatus, renderStatus, type Status } from './status.ts'
