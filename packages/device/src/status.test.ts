import { expect, test } from 'vitest'
import { readDataSpace } from './data-space.ts'
import { type Observed, parseStatus, renderStatus } from './status.ts'

const observed: Observed = {
  osRelease: 'NAME="AtomixOS"\nPRETTY_NAME="AtomixOS (trixie)"\nIMAGE_VERSION=0.1.0\n',
  commandLine: 'console=ttyAMA0 rauc.slot=B panic=5',
  machineId: '0123456789abcdef0123456789abcdef',
  deviceTreeModel: 'Pine64 Rock64',
  mounts: 'overlay / overlay rw 0 0\n/dev/vda5 /data f2fs rw,noatime 0 0\n',
  dataSpace: { sizeBytes: 13.1e9, freeBytes: 12.95e9, availableBytes: 12.9e9 },
  freshFlash: false,
  bootEnvironment: {
    text: 'BOOT_A_LEFT=3\nBOOT_B_LEFT=2\nBOOT_ORDER=B A\nSLOT_A_STATE=confirmed\nSLOT_B_STATE=pending\n',
  },
  failedUnits: [],
  slotRecords: undefined,
  labels: undefined,
  channelRecords: undefined,
  lastLook: undefined,
}

test('a healthy device on one screen', () => {
  expect(renderStatus(parseStatus(observed))).toBe(`System        AtomixOS (trixie), version 0.1.0
Board         Pine64 Rock64
Machine id    0123456789abcdef0123456789abcdef
Running       slot B
Boot          order B A
Slot A        confirmed, 3 tries left
Slot B        pending, version 0.1.0, 2 tries left
Data          /data is mounted (f2fs), 12.9 of 13.1 GB free
Failed units  none
`)
})

test('what is wrong is said, and nothing is guessed', () => {
  const status = parseStatus({
    ...observed,
    commandLine: 'rauc.slot=C',
    mounts: 'overlay / overlay rw 0 0\n',
    bootEnvironment: { error: 'Cannot open /dev/mtd0' },
    failedUnits: ['chrony.service'],
    freshFlash: true,
  })
  expect(status).toMatchObject({
    slot: undefined,
    slots: { A: { triesLeft: undefined }, B: { triesLeft: undefined } },
    data: { mounted: false, fileSystem: undefined, space: undefined, full: false },
  })
  expect(renderStatus(status)).toContain('Boot          unreadable: Cannot open /dev/mtd0\n')
  expect(renderStatus(status)).toContain('Running       slot unknown (first boot after flashing)\n')
  expect(renderStatus(status)).toContain('Data          /data is NOT mounted\n')
})

test('a full /data is told, with what to do; what is kept for root is no room for applications', () => {
  const dataSpace = { sizeBytes: 13.1e9, freeBytes: 30e6, availableBytes: 4.9e6 }
  const status = parseStatus({ ...observed, dataSpace })
  expect(status.data).toMatchObject({ mounted: true, full: true, space: dataSpace })
  expect(renderStatus(status)).toContain(
    'Data          /data is mounted (f2fs), FULL, 4 MB of 13.1 GB free: remove what applications or users left on it\n',
  )
  expect(renderStatus(parseStatus({ ...observed, dataSpace: undefined }))).toContain(
    'Data          /data is mounted (f2fs)\n',
  )
})

test('a counter that is no digit is unknown, not a number', () => {
  const status = parseStatus({ ...observed, bootEnvironment: { text: 'BOOT_A_LEFT=x1\nBOOT_B_LEFT=\n' } })
  expect([status.slots.A.triesLeft, status.slots.B.triesLeft]).toEqual([undefined, undefined])
})

test('why the last look for an update led to what it did, and what roll-outs may call the device', () => {
  const lastLook = {
    ...{
      time: '2026-12-01T12:00:00.000Z',
      version: '1.4.0',
      action: 'none',
      reason: 'the channel is halted',
    },
    channel: { name: 'stable', sequence: 7, percent: 10 },
  }
  const record = {
    serverUrl: 'https://u.example',
    channel: 'stable',
    sequence: 7,
    time: '2026-12-01T11:00:00Z',
  }
  const status = parseStatus({
    ...observed,
    labels: 'lab\ndesk\n',
    channelRecords: JSON.stringify({ format: 1, channels: [{ ...record, identity: 'ab' }] }),
    lastLook: JSON.stringify(lastLook),
  })
  expect(status.update).toEqual({ labels: ['desk', 'lab'], channels: [record], lastLook })
  expect(renderStatus(status)).toContain(
    'Update        nothing to install (channel stable, number 7): the channel is halted; looked at 2026-12-01T12:00:00.000Z\n' +
      'Labels        desk, lab\n',
  )
  expect(parseStatus(observed).update).toEqual({ labels: [], channels: [], lastLook: undefined })
})

test('the space of a file system is asked of the file system, and of none that is not there', async () => {
  const space = await readDataSpace(import.meta.dirname)
  expect(space!.sizeBytes).toBeGreaterThan(0)
  expect(space!.availableBytes).toBeLessThanOrEqual(space!.freeBytes)
  expect(space!.freeBytes).toBeLessThanOrEqual(space!.sizeBytes)
  expect(await readDataSpace('/nowhere')).toBe(undefined)
})
