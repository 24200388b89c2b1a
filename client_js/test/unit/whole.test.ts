import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Hasher } from '../../src/core/seams.js'
import type { UploadTask } from '../../src/core/types.js'
import { sha } from '../support/server.js'
import { fileOf, nodeHasher, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

const bytes = noise(8 * UNIT)

/** Reads a file once more, a unit in a second, until it is told to stop. */
function slowly(): { hasher: Hasher; stopped: number } {
  const seen = { hasher: nodeHasher, stopped: 0 }
  seen.hasher = {
    ...nodeHasher,
    async whole(data, { signal, onProgress } = {}) {
      for (let at = UNIT; at <= data.size; at += UNIT) {
        await new Promise<void>((resolve) => world.clock.after(1000, resolve))
        if (signal?.aborted) {
          seen.stopped += 1
          signal.throwIfAborted()
        }
        onProgress?.(at)
      }
      return sha(new Uint8Array(await data.arrayBuffer()))
    },
  }
  return seen
}

async function checking(hasher: Hasher): Promise<UploadTask> {
  const [task] = await world.tab({ verify: 'whole-file', hasher }).add([fileOf('film', bytes)])
  await world.run(3500)
  return task as UploadTask
}

test('the second reading of a file tells how far it is', async () => {
  const task = await checking(slowly().hasher)
  expect(task.state).toBe('checking')
  const before = task.view.finishing
  expect(before).toMatchObject({ phase: 'checking', total: 8 * UNIT })
  await world.run(2000)
  expect(task.view.finishing?.done).toBe((before?.done ?? 0) + 2 * UNIT)
  await world.run()
  expect(await task.done).toMatchObject({ verified: true, ownSha256: sha(bytes) })
})

test('a pause stops it, and it is begun anew', async () => {
  const reading = slowly()
  const task = await checking(reading.hasher)
  task.pause()
  expect(task.state).toBe('paused')
  await world.run(60_000)
  expect(task.state).toBe('paused')
  expect(reading.stopped).toBe(1)
  task.resume()
  expect(task.view.finishing?.done).toBe(0)
  expect(task.state).toBe('checking')
  await world.run()
  expect(await task.done).toMatchObject({ verified: true, ownSha256: sha(bytes) })
})

test('so does a cancel; the server keeps what it had proven by then', async () => {
  const reading = slowly()
  const task = await checking(reading.hasher)
  await task.cancel()
  expect(task.state).toBe('cancelled')
  await world.run(60_000)
  expect(reading.stopped).toBe(1)
  expect(world.server.count('DELETE')).toBe(0)
  expect(task.progress.acked).toBe(8 * UNIT)
})
