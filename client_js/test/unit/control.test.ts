import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CELL } from '../../src/core/types.js'
import { sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

describe('pause, resume, cancel', () => {
  test('a pause is instant and shows no speed; resuming asks what is there', async () => {
    world.server.bytesPerSecond = UNIT
    const bytes = noise(12 * UNIT)
    const [task] = await world.tab().add([fileOf('a', bytes)])
    await world.run(1500)
    task?.pause()
    expect(task?.state).toBe('paused')
    expect(task?.progress).toMatchObject({ inFlight: 0, bytesPerSecond: 0, etaSeconds: null, acked: 4 * UNIT })
    const before = world.server.log.length
    await world.run(60_000)
    expect(world.server.log).toHaveLength(before)
    task?.resume()
    await world.run(100)
    expect(world.server.log[before]).toMatch(/^GET/)
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(task?.progress).toMatchObject({ resumes: 1, resentBytes: 0 })
  })

  test('all at once, and only what a person paused stays so', async () => {
    world.server.bytesPerSecond = UNIT
    const tab = world.tab()
    const tasks = await tab.add([fileOf('a', noise(4 * UNIT)), fileOf('b', noise(4 * UNIT, 2))])
    await world.run(100)
    tab.pauseAll()
    expect(tasks.map((task) => task.state)).toEqual(['paused', 'paused'])
    tab.resumeAll()
    await world.run()
    expect(tasks.map((task) => task.state)).toEqual(['done', 'done'])
  })

  test('added without a start it waits for one', async () => {
    const [task] = await world.tab().add([fileOf('a', noise(10))], { start: false })
    await world.run(1000)
    expect(task?.state).toBe('paused')
    expect(world.server.log).toHaveLength(0)
    task?.resume()
    await world.run(1000)
    expect(task?.state).toBe('done')
  })

  test('a cancelled upload is taken off the server, and its promise says so', async () => {
    world.server.bytesPerSecond = UNIT
    const tab = world.tab()
    const [task, kept] = await tab.add([fileOf('a', noise(8 * UNIT)), fileOf('b', noise(8 * UNIT, 2))])
    await world.run(500)
    await task?.cancel()
    await kept?.cancel({ deleteOnServer: false })
    await expect(task?.done).rejects.toMatchObject({ code: 'cancelled' })
    expect(world.server.file('a').state).toBe('cancelled')
    expect(world.server.file('b').state).toBe('receiving')
    await world.run()
    expect([task?.state, kept?.state]).toEqual(['cancelled', 'cancelled'])
    expect(await world.store.all()).toEqual([])
    tab.remove(task?.id ?? '')
    expect(tab.tasks).toEqual([kept])
  })

  test('cancelAll ends them all', async () => {
    const tab = world.tab()
    await tab.add(['a', 'b', 'c'].map((name) => fileOf(name, noise(4 * UNIT))))
    await tab.cancelAll()
    await world.run(200)
    expect(tab.getSnapshot().counts).toEqual({ cancelled: 3 })
  })

  test('an upload cancelled on the server does not come back', async () => {
    world.server.bytesPerSecond = UNIT
    const [task] = await world.tab().add([fileOf('a', noise(8 * UNIT))])
    await world.run(1500)
    world.server.file('a').state = 'cancelled'
    await world.run()
    expect(task?.state).toBe('failed')
    expect(world.server.count('POST /upload')).toBe(1)
  })
})

describe('guards', () => {
  test('the page is kept awake and warns before it is left, only while bytes lack', async () => {
    world.server.bytesPerSecond = UNIT
    const [task] = await world.tab().add([fileOf('a', noise(8 * UNIT))])
    expect([world.awake, world.leaving]).toEqual([[true], [true]])
    await world.run(500)
    task?.pause()
    expect([world.awake.at(-1), world.leaving.at(-1)]).toEqual([false, false])
    task?.resume()
    expect([world.awake.at(-1), world.leaving.at(-1)]).toEqual([true, true])
    world.server.verifies = 1000
    await world.run()
    expect(task?.state).toBe('verifying')
    expect([world.awake.at(-1), world.leaving.at(-1)]).toEqual([false, false])
  })

  test('neither if the page does not want them', async () => {
    await world.tab({ keepAwake: false, warnOnLeave: false }).add([fileOf('a', noise(UNIT))])
    await world.run(1000)
    expect([world.awake, world.leaving]).toEqual([[], []])
  })
})

describe('after the last byte', () => {
  test('the server is followed until it has proven the file', async () => {
    world.server.verifies = 4
    const tab = world.tab()
    const states: string[] = []
    tab.on('state', ({ to }) => states.push(to))
    const [task] = await tab.add([fileOf('a', noise(2 * UNIT))])
    await world.run(5000)
    expect(states.slice(-2)).toEqual(['verifying', 'done'])
    expect(task?.view.result).toMatchObject({ verified: true, url: '/files/id1/content' })
  })

  test('another digest than that of the file is a failure, and nothing begins anew', async () => {
    world.server.spoil = true
    const [task] = await world.tab().add([fileOf('a', noise(100))])
    await world.run()
    await expect(task?.done).rejects.toMatchObject({ code: 'checksum' })
    expect(world.server.count('POST /upload')).toBe(2)
  })

  test('of a file in several chunks the whole is compared if asked for', async () => {
    world.server.spoil = true
    const [lax, strict] = await Promise.all(
      (['chunk-tree', 'whole-file'] as const).map(async (verify) => {
        const [task] = await world.tab({ verify }).add([fileOf(verify, noise(3 * UNIT))])
        return task
      }),
    )
    await world.run()
    expect(lax?.state).toBe('done')
    await expect(strict?.done).rejects.toMatchObject({ code: 'checksum' })
  })

  test('a failed verification stays failed until a person tries again', async () => {
    world.server.verifies = 1000
    const [task] = await world.tab().add([fileOf('a', noise(2 * UNIT))])
    await world.run(2000)
    world.server.file('a').state = 'failed'
    await world.run()
    await expect(task?.done).rejects.toMatchObject({ code: 'failed' })
    const before = world.server.log.length
    await world.run(10 * 60_000)
    expect(world.server.log).toHaveLength(before)
    world.server.verifies = 1
    task?.resume()
    await world.run()
    expect(await task?.done).toMatchObject({ verified: true })
  })

  test('what was damaged on the server is sent again', async () => {
    world.server.verifies = 1000
    const bytes = noise(4 * UNIT)
    const [task] = await world.tab().add([fileOf('a', bytes)])
    await world.run(2000)
    const file = world.server.file('a')
    file.state = 'receiving'
    file.ranges.remove(UNIT, 2 * UNIT)
    file.parts = file.parts.filter((part) => part.offset !== UNIT)
    world.server.verifies = 1
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(world.server.log.filter((line) => line.includes(`@${UNIT}`))).toHaveLength(2)
  })
})

describe('what a page sees', () => {
  test('only acknowledged bytes count; speed and the time left come from them', async () => {
    world.server.bytesPerSecond = UNIT
    const tab = world.tab({ parallel: 1 })
    const [task] = await tab.add([fileOf('a', noise(8 * UNIT))])
    await world.run(2600)
    expect(task?.progress).toMatchObject({ acked: 2 * UNIT, inFlight: UNIT / 2, total: 8 * UNIT })
    expect(task?.progress.bytesPerSecond).toBeGreaterThan(UNIT * 0.7)
    expect(task?.progress.bytesPerSecond).toBeLessThan(UNIT * 1.1)
    expect(task?.progress.etaSeconds).toBeGreaterThan(5)
    expect(tab.totals.bytesPerSecond).toBeGreaterThan(UNIT * 0.7)
  })

  test('the snapshot is the same object until something changes', async () => {
    const tab = world.tab()
    expect(tab.getSnapshot()).toBe(tab.getSnapshot())
    const [task] = await tab.add([fileOf('a', noise(10))])
    await world.run()
    const after = tab.getSnapshot()
    expect(after.tasks[0]).toMatchObject({ state: 'done', name: 'a' })
    await world.run()
    expect(tab.getSnapshot()).toBe(after)
    expect(after.tasks[0]).toBe(task?.view)
  })

  test('subscribers are told at most ten times a second', async () => {
    world.server.bytesPerSecond = 10 * UNIT
    const tab = world.tab()
    let told = 0
    tab.subscribe(() => {
      told += 1
    })
    await tab.add([fileOf('a', noise(40 * UNIT))])
    await world.run(1000)
    expect(told).toBeGreaterThan(4)
    expect(told).toBeLessThanOrEqual(11)
  })

  test('the chunk map', async () => {
    world.server.bytesPerSecond = UNIT
    const [task] = await world.tab({ parallel: 2 }).add([fileOf('a', noise(8 * UNIT))])
    await world.run(1500)
    const { verified: v, inFlight: f, empty: e } = CELL
    expect([...(task?.bitmap(8) ?? [])]).toEqual([v, v, f, f, e, e, e, e])
    expect(task?.lanes.map(({ lane, start }) => [lane, start / UNIT])).toEqual([
      [0, 2],
      [1, 3],
    ])
  })
})
