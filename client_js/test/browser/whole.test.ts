import { expect, test } from 'vitest'
import { type Ask, HashPool, type Told } from '../../src/hash/pool.js'
import { sha256 } from '../../src/hash/sha256.js'

const MIB = 1 << 20
const make = (): Worker => new Worker(new URL('../../src/hash/worker.ts', import.meta.url), { type: 'module' })

test('a worker tells how far it is with a whole file, and can be stopped', async () => {
  const pool = new HashPool(make, async () => sha256, 1)
  const file = new Blob([new Uint8Array(24 * MIB)])
  const steps: number[] = []
  const all = await pool.whole(file, { onProgress: (done) => steps.push(done / MIB) })
  expect(steps).toEqual([4, 8, 12, 16, 20, 24])
  expect(all).toBe(await pool.digest(file))
  const stop = new AbortController()
  const before = steps.length
  const stopped = pool.whole(file, {
    signal: stop.signal,
    onProgress(done) {
      steps.push(done / MIB)
      stop.abort()
    },
  })
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' })
  // The worker is free again, and goes on with nothing that is not wanted.
  expect(await pool.digest(new Blob(['abc']))).toMatch(/^ba7816bf/)
  expect(steps).toHaveLength(before + 1)
  pool.close()
})

test('the worker that is at it is the one that is stopped', async () => {
  const asked: Ask[][] = []
  const listening = (): Worker => {
    const worker = make()
    const mine: Ask[] = []
    asked.push(mine)
    const post = worker.postMessage.bind(worker)
    worker.postMessage = (ask: Ask) => {
      mine.push(ask)
      post(ask)
    }
    return worker
  }
  const pool = new HashPool(listening, async () => sha256, 2)
  for (let times = 0; times < 3; times += 1) {
    const stop = new AbortController()
    const stopped = pool.whole(new Blob([new Uint8Array(64 * MIB)]), {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    })
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' })
  }
  pool.close()
  const kinds = asked.map((one) => one.map(({ id, kind }) => `${kind} ${id}`))
  expect(kinds).toEqual([
    ['whole 0', 'stop 0', 'whole 2', 'stop 2'],
    ['whole 1', 'stop 1'],
  ])
})

test('what is stopped is read no further', async () => {
  const worker = make()
  const told: Told[] = []
  const over = new Promise<void>((resolve) => {
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      told.push(data)
      if (told.length === 1) worker.postMessage({ id: 1, kind: 'stop' } satisfies Ask)
      if (data.done === undefined) resolve()
    }
  })
  worker.postMessage({ id: 1, kind: 'whole', data: new Blob([new Uint8Array(64 * MIB)]) } satisfies Ask)
  await over
  worker.terminate()
  expect(told.at(-1)?.error?.name).toBe('AbortError')
  expect(told.length).toBeLessThan(16)
})
