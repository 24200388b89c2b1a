import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Connection } from '../../src/core/types.js'
import { sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

const heads = () => world.server.count('HEAD')

test('offline: requests are broken off, nothing fails, and the event brings it back', async () => {
  world.server.bytesPerSecond = UNIT
  const tab = world.tab()
  const seen: Connection[] = []
  tab.on('connection', (connection) => seen.push(connection))
  const bytes = noise(12 * UNIT)
  const [task] = await tab.add([fileOf('a', bytes)])
  await world.run(500)
  world.server.online = false
  world.gone()
  expect(task?.state).toBe('waiting')
  expect(task?.lanes).toHaveLength(0)
  expect(tab.getSnapshot().connection).toMatchObject({ state: 'waiting' })
  await world.run(10 * 60_000)
  expect(task?.state).toBe('waiting')
  world.server.online = true
  world.back()
  await world.run(500)
  expect(task?.state).toBe('uploading')
  await world.run()
  expect((await task?.done)?.sha256).toBe(sha(bytes))
  expect(seen.map(({ state }) => state)).toContain('online')
})

test('after a wait the status is asked first: what has arrived is not sent again', async () => {
  world.server.bytesPerSecond = UNIT
  const [task] = await world.tab().add([fileOf('a', noise(8 * UNIT))])
  await world.run(900)
  // What is on its way arrives, and only the answers are lost.
  const file = world.server.file('a')
  for (let at = 0; at < 4; at++) world.server.put(file, at * UNIT, noise(8 * UNIT).slice(at * UNIT, (at + 1) * UNIT))
  world.gone()
  world.back()
  await world.run()
  expect(task?.state).toBe('done')
  expect(task?.progress.resentBytes).toBe(0)
  expect(world.server.log.filter((line) => line.startsWith('PUT')).slice(4)).toHaveLength(4)
})

test('without any event a probe finds out, from 1 s to 30 s apart, and opens again', async () => {
  const times: number[] = []
  world.server.rules = [
    (request) => {
      if (request.method === 'HEAD') times.push(world.clock.now())
      return 'drop'
    },
  ]
  const [task] = await world.tab().add([fileOf('a', noise(10))])
  await world.run(120_000)
  expect(task?.state).toBe('waiting')
  const gaps = times.slice(1).map((time, index) => time - (times[index] as number))
  expect(gaps).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  world.server.rules = []
  await world.run(31_000)
  expect(task?.state).toBe('done')
})

test('a request that breaks while the server answers probes is only that request', async () => {
  let once = true
  world.server.rules = [
    (request) => {
      if (request.method !== 'PUT' || !once) return undefined
      once = false
      return 'drop'
    },
  ]
  const tab = world.tab()
  const seen: string[] = []
  tab.on('connection', ({ state }) => seen.push(state))
  const [task] = await tab.add([fileOf('a', noise(10))])
  await world.run(5000)
  expect(task?.state).toBe('done')
  expect(heads()).toBe(1)
  expect(seen).toEqual([])
})

test('a click does not wait for the next probe', async () => {
  world.server.online = false
  const [task] = await world.tab().add([fileOf('a', noise(10))])
  await world.run(40_000)
  world.server.online = true
  task?.resume()
  await world.run(500)
  expect(task?.state).toBe('done')
})

test('the browser is never asked whether it is online: the first try is made anyway', async () => {
  vi.stubGlobal('navigator', { onLine: false })
  const [task] = await world.tab().add([fileOf('a', noise(10))])
  await world.run(1000)
  vi.unstubAllGlobals()
  expect(task?.state).toBe('done')
})

test('without probes only the browser or a person opens the gate', async () => {
  const [task] = await world.tab({ probe: false }).add([fileOf('a', noise(10))])
  world.gone()
  await world.run(120_000)
  expect(heads()).toBe(0)
  expect(task?.state).toBe('waiting')
  world.back()
  await world.run(1000)
  expect(task?.state).toBe('done')
})

test('connections that died in silence are found out side by side, not one by one by chunks', async () => {
  world.server.bytesPerSecond = UNIT
  const [task] = await world.tab().add([fileOf('film', noise(16 * UNIT))])
  await world.run(2500)
  // Four are on their way, and two have nothing to do: the next requests would go over those.
  let dead = 6
  let sentBefore: number | undefined
  world.server.rules = [
    (request) => {
      if (dead-- > 0) return 'hang'
      if (request.method === 'HEAD') sentBefore ??= world.server.count('PUT')
      return undefined
    },
  ]
  const began = world.clock.now()
  const before = task?.progress.acked ?? 0
  const chunks = world.server.count('PUT')
  while (task?.progress.acked === before) await world.run(100)
  expect(sentBefore).toBe(chunks)
  // The stall itself is 15 s, and a chunk takes one.
  expect(world.clock.now() - began).toBeLessThan(21_000)
  expect(heads()).toBe(3)
  await world.run()
  expect(task?.state).toBe('done')
})
