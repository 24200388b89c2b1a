import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Source, UploadTask } from '../../src/core/types.js'
import { answer, problem, sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
  world.server.bytesPerSecond = UNIT
})
afterEach(() => world.end())

const bytes = noise(16 * UNIT)
const film = (more: Partial<Source> = {}) => fileOf('film', bytes, more)

/** Half of each file goes, then the page is closed; what happens meanwhile; then it comes back. */
async function comeBack(meanwhile: () => void = () => undefined, files = [film()]): Promise<UploadTask[]> {
  const page = world.tab()
  await page.add(files)
  await world.run(2500)
  await page[Symbol.asyncDispose]()
  await world.run(1000)
  meanwhile()
  world.server.log.length = 0
  return world.tab().restore()
}

test('the row says what is stored, and not what the page remembers: one question', async () => {
  const [task] = await comeBack(() =>
    world.server.put(world.server.file('film'), 8 * UNIT, bytes.slice(8 * UNIT, 11 * UNIT)),
  )
  expect(task?.progress.acked).toBe(8 * UNIT)
  await world.run(100)
  expect(task?.state).toBe('needs-file')
  expect(task?.progress.acked).toBe(11 * UNIT)
  await world.run(60_000)
  expect(world.server.log).toEqual([expect.stringMatching(/^GET/)])
  expect(await world.store.all()).toHaveLength(1)
  const [elsewhere] = await world.tab().restore()
  expect(elsewhere?.state).toBe('needs-file') // it is no tab's as long as nobody gives the file
})

/** What a new tab shows of the file that an earlier one left behind, from its first row on. */
async function statesOfRestored(): Promise<string[]> {
  const page = world.tab()
  const seen: string[] = []
  page.on('added', ({ tasks }) => seen.push(...tasks.map((task) => task.state)))
  page.on('state', ({ to }) => seen.push(to))
  await page.restore()
  await world.run(100)
  return seen
}

test('it stands from the beginning as it will: no button of it comes and goes', async () => {
  const before = world.tab()
  await before.add([film()])
  await world.run(2500)
  await before[Symbol.asyncDispose]()
  expect(await statesOfRestored()).toEqual(['needs-file'])
})

test.each([
  ['prompt', ['needs-permission']],
  ['granted', ['queued', 'preparing', 'uploading']],
])('leave to read is known before there is a row: %s', async (leave, states) => {
  const handle = { queryPermission: async () => leave, getFile: async () => film() } as unknown as FileSystemFileHandle
  const before = world.tab()
  await before.add([film({ handle })])
  await world.run(2500)
  await before[Symbol.asyncDispose]()
  expect(await statesOfRestored()).toEqual(states)
})

test('a handle that cannot be asked costs the file, not what else is left', async () => {
  const [task] = await comeBack(() => undefined, [film({ handle: {} as FileSystemFileHandle })])
  await world.run(100)
  expect(task?.state).toBe('needs-file')
  expect(task?.view.warning?.code).toBe('file-gone')
})

test('asked for twice at once, what is left comes back once', async () => {
  await comeBack()
  const page = world.tab()
  const [first, second] = await Promise.all([page.restore(), page.restore()])
  expect(first).toHaveLength(1)
  expect(second).toEqual([])
})

test('one that is done meanwhile says so', async () => {
  const [task] = await comeBack(() => {
    const file = world.server.file('film')
    world.server.put(file, 0, bytes)
    file.state = 'done'
  })
  await world.run(100)
  expect(task?.state).toBe('done')
  expect(await task?.done).toMatchObject({ sha256: sha(bytes), verified: false })
  expect(world.server.log).toEqual([expect.stringMatching(/^GET/)])
  expect(await world.store.all()).toEqual([])
})

test('one that has all its bytes is completed without its file', async () => {
  const [task] = await comeBack(() => world.server.put(world.server.file('film'), 0, bytes))
  await world.run()
  expect((await task?.done)?.sha256).toBe(sha(bytes))
  expect(world.server.count('PUT')).toBe(0)
})

test.each([404, 410])('one that has expired (%s) says so, and can begin anew', async (status) => {
  let handed = 0
  const handle = {
    kind: 'file',
    queryPermission: async () => 'prompt',
    requestPermission: async () => 'granted',
    getFile: async () => {
      handed += 1
      return film()
    },
  } as unknown as FileSystemFileHandle
  const [task] = await comeBack(() => {
    world.server.rules = [(request) => (request.method === 'GET' ? problem(status, 'not-found') : undefined)]
  }, [film({ handle })])
  await world.run(100)
  expect(task?.state).toBe('failed')
  expect(task?.view.error?.code).toBe('expired')
  expect(handed).toBe(0)
  world.server.rules = []
  task?.resume()
  await world.run()
  expect((await task?.done)?.sha256).toBe(sha(bytes))
})

test('one that has expired and whose file is not known asks for it', async () => {
  const [task] = await comeBack(() => world.server.files.clear())
  await world.run(100)
  expect(task?.view.error?.code).toBe('expired')
  task?.resume()
  await world.run(100)
  expect(task?.state).toBe('needs-file')
  expect(await task?.attach(film())).toBe('match')
  await world.run()
  expect((await task?.done)?.sha256).toBe(sha(bytes))
})

test('a server that cannot be reached is asked again; nothing fails', async () => {
  let refused = 0
  const [task] = await comeBack(() => {
    world.server.rules = [() => (refused++ < 3 ? answer(503) : undefined)]
  })
  await world.run(60_000)
  expect(task?.state).toBe('needs-file')
  expect(refused).toBeGreaterThan(3)
  expect(task?.progress.acked).toBe(8 * UNIT)
})

test('a thousand are asked two at a time, each once, and a file that is added does not wait for them', async () => {
  for (let at = 1; at <= 1000; at++) {
    const { id, name } = world.server.keep(`f${at}`, 2 * UNIT)
    await world.store.put({
      ...{ key: `key${at}`, endpoint: 'http://test/upload', protocol: 'chunk', scope: '', createdAt: 0 },
      ...{ name, size: 2 * UNIT, type: '', lastModified: 7, meta: {}, acked: 0, sealed: false },
      session: { id, url: `http://test/upload/${id}` },
    })
  }
  world.server.bytesPerSecond = Number.POSITIVE_INFINITY
  world.server.log.length = 0
  world.server.most = 0
  world.server.rules = [
    async () => {
      await new Promise<void>((resolve) => world.clock.after(200, resolve))
      return undefined
    },
  ]
  const again = world.tab()
  const restored = await again.restore()
  expect(restored).toHaveLength(1000)
  await world.run(1000)
  expect(world.server.most).toBe(2)
  const [fresh] = await again.add([fileOf('fresh', noise(1000))])
  await world.run(3000)
  expect(fresh?.state).toBe('done')
  expect(world.server.count('GET')).toBeLessThan(60)
  await world.run(120_000)
  const asked = world.server.log.filter((line) => /^GET \/upload\/id\d+$/.test(line))
  expect(new Set(asked).size).toBe(asked.length)
  expect(asked.length).toBeGreaterThanOrEqual(1000)
})
