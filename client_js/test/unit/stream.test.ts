import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(async () => {
  world = new World()
  await import('../../src/core/stream.js')
})
afterEach(() => world.end())

/** A stream that gives what it is told to, when it is told to. */
function tap() {
  let to!: ReadableStreamDefaultController<Uint8Array>
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      to = controller
    },
  })
  return { stream, give: (bytes: Uint8Array) => to.enqueue(bytes), end: () => to.close() }
}

test('bytes wait five seconds for others at most; meanwhile other uploads have all lanes', async () => {
  const page = world.tab({ parallel: 1 })
  const { stream, give, end } = tap()
  const [task] = await page.add(stream, { name: 'log.csv' })
  give(noise(10))
  await world.run(1000)
  expect(world.server.count('PUT')).toBe(0)
  const [file] = await page.add([fileOf('a', noise(1000))])
  await world.run(1000)
  expect(file?.state).toBe('done')
  await world.run(5000)
  expect(task?.progress.acked).toBe(10)
  expect(task?.view).toMatchObject({ openEnded: true, state: 'uploading', size: 10 })
  expect(task?.view.retryAt).toBeUndefined()
  give(noise(20, 2))
  end()
  await world.run(10_000)
  expect(await task?.done).toMatchObject({ size: 30, verified: true })
  const put = world.server.requests.filter(
    ({ method, url }) => method === 'PUT' && url.includes(task?.view.result?.id ?? '-'),
  )
  expect(put.map(({ headers }) => headers['Upload-Length'])).toEqual([undefined, undefined])
})

test('what the server has lost of a stream cannot be sent again, and that is said', async () => {
  const { stream, give } = tap()
  const [task] = await world.tab().add(stream, { name: 'film' })
  give(noise(3 * UNIT))
  await world.run(2000)
  expect(task?.progress.acked).toBe(3 * UNIT)
  world.server.files.clear()
  give(noise(UNIT))
  await world.run(2000)
  expect(task?.state).toBe('failed')
  expect(task?.view.error?.code).toBe('expired')
  task?.resume()
  await world.run(2000)
  await expect(task?.done).rejects.toMatchObject({ code: 'stream-over' })
  expect(world.server.files.size).toBe(0) // and no other is begun in vain
})

test('an answer that was lost costs a question, and no byte is sent twice', async () => {
  const { stream, give, end } = tap()
  const bytes = noise(4 * UNIT)
  let lost = 0
  world.server.rules = [
    (request, body) => {
      if (request.method !== 'PUT' || lost++ > 0) return undefined
      world.server.put(world.server.file('film'), 0, body)
      return 'drop'
    },
  ]
  const [task] = await world.tab().add(stream, { name: 'film' })
  give(bytes)
  end()
  await world.run()
  expect((await task?.done)?.sha256).toBe(sha(bytes))
  expect(world.server.log.filter((line) => line.startsWith('PUT'))).toHaveLength(4)
})
