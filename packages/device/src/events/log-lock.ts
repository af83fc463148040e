import { readFileSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs'

const waitMs = 5

/**
 * Runs `work` while no other process runs its own, and tells it whether that could be had. The lock is a symbolic link
 * whose target names its holder by boot, process and start time: made in one call, and never stale, since a holder
 * that is gone is seen to be gone. (Node has no flock.) Two that find a dead holder in the same instant are told apart
 * by what they moved away.
 */
export function withLogLock<T>(
  lockPath: string,
  work: (locked: boolean) => T,
  { waitMaxMs = 2000, bootId }: { waitMaxMs?: number; bootId: string },
): T {
  const locked = acquire(lockPath, { waitMaxMs, bootId })
  try {
    return work(locked)
  } finally {
    if (locked) rmSync(lockPath, { force: true })
  }
}

function acquire(lockPath: string, { waitMaxMs, bootId }: { waitMaxMs: number; bootId: string }): boolean {
  const self = `${bootId}:${process.pid}:${startTime(process.pid)}`
  const endMs = performance.now() + waitMaxMs
  for (;;) {
    try {
      symlinkSync(self, lockPath)
      return true
    } catch (error) {
      // A full or read-only disk: nobody else can write there either.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false
    }
    const holder = holderOf(lockPath)
    if (holder !== undefined && isGone(holder, bootId)) remove(lockPath, holder)
    else if (performance.now() >= endMs) return false
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waitMs)
  }
}

function remove(lockPath: string, holder: string): void {
  const aside = `${lockPath}.${process.pid}`
  try {
    renameSync(lockPath, aside)
    // Somebody else removed the dead one first, and this is the lock of a living one.
    if (holderOf(aside) !== holder) renameSync(aside, lockPath)
    else rmSync(aside, { force: true })
  } catch {
    // Gone already.
  }
}

function isGone(holder: string, bootId: string): boolean {
  const [boot, pid, started] = holder.split(':')
  return boot !== bootId || startTime(Number(pid)) !== started
}

function holderOf(lockPath: string): string | undefined {
  try {
    return readlinkSync(lockPath)
  } catch {
    return undefined
  }
}

/** Of a process, in ticks since the boot (proc_pid_stat(5), field 22): tells a process from a later one of its number. */
function startTime(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, field 2, may hold spaces and brackets.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}
