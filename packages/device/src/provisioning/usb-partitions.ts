import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'

/** A file system on a USB stick that may hold a configuration. */
export interface UsbPartition {
  /** `sda1` */
  readonly name: string
  readonly fileSystem: SeedFileSystem
  /** Another one for each time that a stick is plugged in. */
  readonly key: string
}

export type SeedFileSystem = 'vfat' | 'exfat' | 'ext4'

/** Those that people have on sticks and the kernel has. */
const fileSystems: readonly string[] = ['vfat', 'exfat', 'ext4'] satisfies SeedFileSystem[]

/** As sysfs and udev tell them now, in order of their names. What is being plugged in or out meanwhile is not there. */
export function readUsbPartitions(sys = '/sys/class/block', udevData = '/run/udev/data'): UsbPartition[] {
  return readdirSync(sys)
    .sort()
    .flatMap((name): UsbPartition[] => {
      try {
        const path = realpathSync(join(sys, name))
        if (!/\/usb[0-9]+\//.test(path)) return []
        const number = readFileSync(join(path, 'dev'), 'utf8').trim()
        const fileSystem = /^E:ID_FS_TYPE=(.*)$/m.exec(
          readFileSync(join(udevData, `b${number}`), 'utf8'),
        )?.[1]
        if (fileSystem === undefined || !fileSystems.includes(fileSystem)) return []
        const disk = readdirSync(path).includes('partition') ? join(path, '..') : path
        const sequence = readFileSync(join(disk, 'diskseq'), 'utf8').trim()
        return [{ name, fileSystem: fileSystem as SeedFileSystem, key: `${name} ${sequence}` }]
      } catch {
        return []
      }
    })
}
