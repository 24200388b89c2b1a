import { afterEach, expect, test } from 'vitest'
import { sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
afterEach(() => world.end())

test('an upload starts as soon as its file is added, and is done when the server has proven it', async () => {
  world = new World()
  const bytes = noise(5 * UNIT + 17)
  const [task] = await world.tab().add([fileOf('film.mkv', bytes)])
  expect(task?.state).not.toBe('paused')
  await world.run()
  expect(await task?.done).toMatchObject({ size: bytes.length, verified: true })
  expect(sha(world.server.file('film.mkv').bytes)).toBe(sha(bytes))
  expect(world.server.count('PUT')).toBe(6)
})
