import { expect, test } from 'vitest'
import { Several } from '../../demo/several.js'
import type { Protocol } from '../../src/core/types.js'
import { ScriptedUploader } from './scripted.js'

function make() {
  const chunk = new ScriptedUploader()
  const tus = new ScriptedUploader()
  const put = tus.put.bind(tus)
  tus.put = (name, size, changes) => {
    const task = put(name, size)
    task.view = { ...task.view, id: `tus-${task.id}` }
    task.set(changes ?? {})
    return task
  }
  const several = new Several(
    new Map<Protocol, ScriptedUploader>([
      ['chunk', chunk],
      ['tus', tus],
    ]),
    'chunk',
  )
  return { chunk, tus, several }
}

test('uploads of all protocols stand in the order in which they came', async () => {
  const { chunk, several, tus } = make()
  await several.add([new File(['a'], 'a')])
  expect(several.tasks.map(({ name }) => name)).toEqual(['a'])
  several.choose('tus')
  await several.add([new File(['b'], 'b')])
  expect(several.tasks.map(({ name }) => name)).toEqual(['a', 'b'])
  several.choose('chunk')
  await several.add([new File(['c'], 'c')])
  expect(several.tasks.map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  expect([chunk.tasks.length, tus.tasks.length]).toEqual([2, 1])
  expect(several.task('tus-t0')?.name).toBe('b')
  several.remove('tus-t0')
  expect(several.tasks.map(({ name }) => name)).toEqual(['a', 'c'])
})

test('the snapshot sums up, and is the same until something changes', () => {
  const { chunk, several, tus } = make()
  const first = several.getSnapshot()
  expect(several.getSnapshot()).toBe(first)
  chunk.totals = { ...chunk.totals, acked: 3, bytesPerSecond: 10, etaSeconds: 5 }
  tus.totals = { ...tus.totals, acked: 4, bytesPerSecond: 1, etaSeconds: 9 }
  chunk.connection = { state: 'waiting', retryAt: 7 }
  chunk.put('a', 10, { state: 'uploading' })
  tus.put('b', 10, { state: 'uploading' })
  const { connection, counts, totals } = several.getSnapshot()
  expect(totals).toMatchObject({ acked: 7, bytesPerSecond: 11, etaSeconds: 9 })
  expect(counts).toEqual({ uploading: 2 })
  expect(connection).toEqual({ state: 'waiting', retryAt: 7 })
})

test('who subscribes is told by each, and by none after leaving', () => {
  const { chunk, several, tus } = make()
  let told = 0
  const leave = several.subscribe(() => {
    told += 1
  })
  chunk.changed()
  tus.changed()
  leave()
  chunk.changed()
  expect(told).toBe(2)
})
