import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Source, Uploader } from '../../src/core/types.js'
import { sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
  world.server.bytesPerSecond = UNIT
})
afterEach(() => world.end())

/** Half of the file goes, then the page is closed. */
async function closeHalfway(file: Source): Promise<void> {
  const page = world.tab()
  await page.add([file])
  await world.run(2500)
  await page[Symbol.asyncDispose]()
  await world.run(1000)
}

function handleOf(file: () => Source, permission: string): FileSystemFileHandle {
  const handle = {
    kind: 'file',
    asked: 0,
    queryPermission: async () => permission,
    requestPermission: async () => {
      handle.asked += 1
      return 'granted'
    },
    getFile: async () => file(),
  }
  return handle as unknown as FileSystemFileHandle
}

const bytes = noise(16 * UNIT)

describe('after a reload', () => {
  test('the file is chosen again: one request tells what is there, and the rest is sent', async () => {
    await closeHalfway(fileOf('film', bytes))
    const page = world.tab()
    const [task] = await page.restore()
    expect(task?.state).toBe('needs-file')
    expect(task?.progress.acked).toBe(8 * UNIT)
    const before = world.server.log.length
    expect(await task?.attach(fileOf('film', bytes))).toBe('match')
    expect(task?.progress.acked).toBe(8 * UNIT) // the bar does not fall back
    await world.run()
    expect(await task?.done).toMatchObject({ verified: false, sha256: sha(bytes) })
    const after = world.server.log.slice(before)
    expect(after.filter((line) => line.startsWith('PUT'))).toHaveLength(8)
    expect(after[0]).toMatch(/^GET/)
    expect(after[1]).toMatch(/^PUT/)
    expect(await world.store.all()).toEqual([])
  })

  test('dropping it anywhere does the same, with or without restore', async () => {
    await closeHalfway(fileOf('film', bytes))
    const page = world.tab()
    const [task] = await page.add([fileOf('film', bytes)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(world.server.count('POST /upload')).toBe(2)
    expect(page.tasks).toHaveLength(1)
  })

  test('with a handle that may be read it goes on by itself', async () => {
    const handle = handleOf(() => fileOf('film', bytes), 'granted')
    await closeHalfway(fileOf('film', bytes, { handle }))
    const [task] = await world.tab().restore()
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
  })

  test('with a handle one click is enough', async () => {
    const handle = handleOf(() => fileOf('film', bytes), 'prompt')
    await closeHalfway(fileOf('film', bytes, { handle }))
    const [task] = await world.tab().restore()
    expect(task?.state).toBe('needs-permission')
    task?.resume()
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
  })

  test('no handle is kept if the page does not want it', async () => {
    const handle = handleOf(() => fileOf('film', bytes), 'granted')
    const page = world.tab({ persist: 'metadata' })
    await page.add([fileOf('film', bytes, { handle })])
    await world.run(2500)
    expect((await world.store.all()).map((record) => record.handle)).toEqual([undefined])
  })

  test('nothing is kept of a page that does not want it', async () => {
    await world.tab({ persist: false }).add([fileOf('film', bytes)])
    await world.run(2500)
    expect(await world.store.all()).toEqual([])
  })

  test.each([
    ['size', fileOf('film', noise(15 * UNIT))],
    ['name', fileOf('other', bytes)],
    ['time', fileOf('film', bytes, { lastModified: 8 })],
    ['beginning', fileOf('film', noise(16 * UNIT, 9))],
  ])('another %s is another file', async (_, other) => {
    await closeHalfway(fileOf('film', bytes))
    const [task] = await world.tab().restore()
    expect(await task?.attach(other)).toBe('mismatch')
    expect(task?.state).toBe('needs-file')
  })

  test('a file with the same name, size and time and other bytes begins anew', async () => {
    await closeHalfway(fileOf('film', bytes))
    const other = noise(16 * UNIT, 9)
    const [task] = await world.tab().add([fileOf('film', other)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(other))
    expect(sha(world.server.file('film (2)').bytes)).toBe(sha(other))
  })

  test('what the server has of another file is not gone on with', async () => {
    await closeHalfway(fileOf('film', bytes))
    const file = world.server.file('film')
    for (const part of file.parts) if (part.offset === 0) part.sha256 = sha(noise(10))
    const warnings: string[] = []
    const page = world.tab()
    page.on('warning', ({ message }) => warnings.push(message))
    const [task] = await page.add([fileOf('film', bytes)])
    await world.run()
    expect(task?.state).toBe('done')
    expect(warnings).toContainEqual(expect.stringMatching(/another file/))
  })

  test('other scopes see nothing of it', async () => {
    await closeHalfway(fileOf('film', bytes))
    expect(await world.tab({ scope: 'somebody else' }).restore()).toEqual([])
  })

  test('an upload that had all its bytes is followed without its file', async () => {
    world.server.verifies = 1000
    await world.tab().add([fileOf('film', bytes)])
    await world.run()
    await world.end()
    world.server.verifies = 1
    const [task] = await world.tab().restore()
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
  })

  test('an upload that has expired meanwhile begins anew', async () => {
    await closeHalfway(fileOf('film', bytes))
    world.server.files.clear()
    const [task] = await world.tab().add([fileOf('film', bytes)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
  })

  test('a small file leaves no record', async () => {
    await world.tab().add([fileOf('small', noise(1000))])
    await world.run(100)
    expect(await world.store.all()).toEqual([])
  })
})

describe('names', () => {
  test('a name that a finished file has: the next number', async () => {
    world.server.bytesPerSecond = Number.POSITIVE_INFINITY
    const page = world.tab()
    const [first] = await page.add([fileOf('a.txt', noise(10))])
    await world.run()
    const [second] = await page.add([fileOf('a.txt', noise(20, 2), { lastModified: 9 })])
    await world.run()
    expect([first?.state, second?.state]).toEqual(['done', 'done'])
    expect(world.server.file('a (2).txt').size).toBe(20)
  })

  test('or a failure, if the page wants that', async () => {
    world.server.keep('a', 10).state = 'done'
    const [task] = await world.tab({ onNameTaken: 'fail' }).add([fileOf('a', noise(10))])
    await world.run()
    await expect(task?.done).rejects.toMatchObject({ code: 'name-taken' })
  })

  test("a stranger's upload of the same name and size is not mixed with", async () => {
    const theirs = world.server.keep('a', 4 * UNIT)
    world.server.put(theirs, 0, noise(UNIT, 5))
    const mine = noise(4 * UNIT)
    const [task] = await world.tab().add([fileOf('a', mine)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(mine))
    expect(theirs.parts).toHaveLength(1)
    expect(sha(world.server.file('a (2)').bytes)).toBe(sha(mine))
  })

  test('an upload whose every byte is of this file is gone on with', async () => {
    const mine = noise(4 * UNIT)
    const begun = world.server.keep('a', 4 * UNIT)
    world.server.put(begun, UNIT, mine.slice(UNIT, 2 * UNIT))
    const [task] = await world.tab().add([fileOf('a', mine)])
    await world.run()
    expect(await task?.done).toMatchObject({ id: begun.id, verified: true })
    expect(world.server.log.filter((line) => line.startsWith('PUT'))).toHaveLength(3)
  })

  test('a creation whose answer was lost is found again by its key', async () => {
    let once = true
    world.server.rules = [
      (request, body) => {
        if (request.method !== 'POST' || !once) return undefined
        once = false
        const { name, size } = JSON.parse(new TextDecoder().decode(body))
        world.server.keep(name, size, request.headers['Idempotency-Key'])
        return 'drop'
      },
    ]
    const [task] = await world.tab().add([fileOf('a', noise(UNIT))])
    await world.run()
    expect(task?.state).toBe('done')
    expect(world.server.files.size).toBe(1)
  })
})

test('where locks are forbidden uploads go on without', async () => {
  const page = world.tab({ env: { locks: { acquire: () => Promise.reject(new Error('SecurityError')) } } })
  const [task] = await page.add([fileOf('film', bytes)])
  await world.run()
  expect(task?.state).toBe('done')
})

describe('tabs', () => {
  async function two(): Promise<[Uploader, Uploader]> {
    const one = world.tab()
    await one.add([fileOf('film', bytes)])
    await world.run(2500)
    return [one, world.tab()]
  }

  test('the second sees what the first sends, and sends nothing', async () => {
    const [one, other] = await two()
    const [mirror] = await other.restore()
    expect(mirror?.state).toBe('elsewhere')
    await world.run(2100)
    expect(mirror?.progress.acked).toBe(one.tasks[0]?.progress.acked)
    await world.run()
    expect(mirror?.state).toBe('done')
    expect(world.server.log.filter((line) => line.startsWith('PUT'))).toHaveLength(16)
  })

  test('the second may take over; the first lets go', async () => {
    const [one, other] = await two()
    const [mirror] = await other.restore()
    mirror?.resume()
    await world.run(100)
    expect(one.tasks[0]?.state).toBe('elsewhere')
    expect(mirror?.state).toBe('needs-file')
    expect(await mirror?.attach(fileOf('film', bytes))).toBe('match')
    await world.run()
    expect((await mirror?.done)?.sha256).toBe(sha(bytes))
    expect(one.tasks[0]?.state).toBe('done')
  })
})
