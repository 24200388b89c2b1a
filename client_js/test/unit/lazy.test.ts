import { expect, test } from 'vitest'
import { UploadError } from '../../src/core/errors.js'
import { part } from '../../src/core/lazy.js'
import type { Transport } from '../../src/core/seams.js'
import { later } from '../../src/protocol/later.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

test('a part that cannot be loaded is as a server that cannot be reached, and is asked for again', async () => {
  let tries = 0
  const lazy = part(async () => {
    tries += 1
    if (tries === 1) throw new TypeError('Failed to fetch dynamically imported module')
    return 'part'
  })
  const error = await lazy.get().catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(UploadError)
  expect(error).toMatchObject({ code: 'network', retryable: true })
  expect(await Promise.all([lazy.get(), lazy.get()])).toEqual(['part', 'part'])
  expect(tries).toBe(2)
})

test('an upload whose protocol cannot be loaded waits, and goes on when it can be', async () => {
  const world = new World()
  let isAway = true
  const lazy = part(async (): Promise<Transport> => {
    if (isAway) throw new TypeError('Failed to fetch dynamically imported module')
    const { ChunkTransport } = await import('../../src/protocol/chunk.js')
    return new ChunkTransport('http://test/upload')
  })
  const tab = world.tab({ transport: later(true, lazy) })
  const [task] = await tab.add([fileOf('a.bin', noise(3 * UNIT))])
  await world.run(5_000)
  expect(task?.state).toBe('waiting')
  expect(task?.view.error).toBeUndefined()
  isAway = false
  await world.run()
  expect(task?.state).toBe('done')
  await world.end()
})
