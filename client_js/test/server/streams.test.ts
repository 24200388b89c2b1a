import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Protocol, Uploader, UploaderOptions, UploadTask } from '../../src/core/types.js'
import { createUploader } from '../../src/index.js'
import { MemoryStore } from '../../src/store/memory.js'
import { Onward } from '../support/onward.js'
import { noise, UNIT } from '../support/world.js'

let server: Onward
const open: Uploader[] = []

beforeAll(async () => {
  server = await Onward.start()
}, 60_000)
afterAll(async () => {
  for (const uploader of open) await uploader[Symbol.asyncDispose]()
  await server.end()
})

function uploader(protocol: Protocol, options: Partial<UploaderOptions> = {}): Uploader {
  const endpoint = `${server.url}/${protocol === 'chunk' ? 'upload' : 'files'}`
  const made = createUploader({ endpoint, protocol, chunkSize: UNIT, retry: { baseMs: 50, capMs: 500 }, ...options })
  open.push(made)
  return made
}

/** A stream in pieces of all sizes; `taken` is how many of its bytes were asked for. */
function streamOf(bytes: Uint8Array, step: number, before?: (at: number) => Promise<void> | undefined) {
  const seen = { taken: 0, cancelled: false }
  let piece = 0
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await before?.(seen.taken)
        const size = Math.min(bytes.length - seen.taken, 1 + ((piece++ * 7919) % step))
        if (size > 0) controller.enqueue(bytes.slice(seen.taken, seen.taken + size))
        seen.taken += size
        if (seen.taken === bytes.length) controller.close()
      },
      cancel() {
        seen.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, seen, sha256: createHash('sha256').update(bytes).digest('hex') }
}

async function published(url: string): Promise<string> {
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  return createHash('sha256')
    .update(new Uint8Array(await answer.arrayBuffer()))
    .digest('hex')
}

describe.each(['chunk', 'tus', 'ietf'] as const)('a stream by %s', (protocol) => {
  test('nobody knows its length; one chunk of it is held; what is published is what came', async () => {
    const page = uploader(protocol)
    let held = 0
    const { stream, sha256 } = streamOf(noise(7 * UNIT + 321), 90_000, async (at) => {
      held = Math.max(held, at - (page.tasks[0]?.progress.acked ?? 0))
    })
    const warnings: string[] = []
    page.on('warning', ({ code }) => warnings.push(code))
    const left = new Set<number | null>()
    page.subscribe(() => {
      const [view] = page.getSnapshot().tasks
      if (!view?.openEnded) return
      left.add(view.progress.etaSeconds)
    })
    const [task] = await page.add(stream, { name: `${protocol}-stream.bin`, meta: { kind: 'live' } })
    const result = await task?.done
    expect(result).toMatchObject({ size: 7 * UNIT + 321, sha256, verified: true })
    expect(await published(result?.url ?? '')).toBe(sha256)
    expect([...left]).toEqual([null])
    expect(held).toBeGreaterThan(0)
    expect(held).toBeLessThanOrEqual(UNIT + 90_000)
    expect(warnings).toEqual(['no-return'])
    expect(task?.view.openEnded).toBe(false)
  })

  test('an empty one', async () => {
    const [task] = await uploader(protocol).add(streamOf(new Uint8Array(), 1).stream, { name: `${protocol}-none` })
    expect(await task?.done).toMatchObject({ size: 0 })
  })

  test('one that ends where a chunk does', async () => {
    const { stream, sha256 } = streamOf(noise(2 * UNIT), UNIT)
    const [task] = await uploader(protocol).add(stream, { name: `${protocol}-even` })
    expect(await task?.done).toMatchObject({ size: 2 * UNIT, sha256 })
  })

  test('a server that is killed in the middle and comes back; a pause; nothing is kept for later', async () => {
    const store = new MemoryStore()
    const page = uploader(protocol, { store })
    const bytes = noise(12 * UNIT, 3)
    let killed = false
    const { stream, sha256 } = streamOf(bytes, 200_000, async (at) => {
      if (at < 5 * UNIT || killed) return
      killed = true
      await server.kill()
    })
    const [task] = await page.add(stream, { name: `${protocol}-killed.bin` })
    while (!killed) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await store.all()).toEqual([])
    task?.pause()
    expect(task?.state).toBe('paused')
    await server.start()
    task?.resume()
    const result = await task?.done
    expect(await published(result?.url ?? '')).toBe(sha256)
    expect(result).toMatchObject({ size: 12 * UNIT, verified: true })
  }, 60_000)

  test('one that breaks fails, and one that is cancelled is read no further', async () => {
    const page = uploader(protocol)
    const broken = streamOf(noise(4 * UNIT), 50_000, async (at) => {
      if (at > 2 * UNIT) throw new Error('the camera is gone')
    })
    const [task] = await page.add(broken.stream, { name: `${protocol}-broken` })
    await expect(task?.done).rejects.toMatchObject({ code: 'file-unreadable' })
    const endless = streamOf(noise(40 * UNIT), 50_000, () => new Promise((resolve) => setTimeout(resolve, 5)))
    const [other] = (await page.add(endless.stream, { name: `${protocol}-endless` })) as [UploadTask]
    while (other.progress.acked < UNIT) await new Promise((resolve) => setTimeout(resolve, 10))
    await other.cancel()
    await expect(other.done).rejects.toMatchObject({ code: 'cancelled' })
    expect(endless.seen.cancelled).toBe(true)
  })
})

test('two streams of one name are two files', async () => {
  const page = uploader('chunk')
  const [one, two] = [streamOf(noise(UNIT, 1), 50_000), streamOf(noise(UNIT, 2), 50_000)]
  const added = [await page.add(one.stream, { name: 'same' }), await page.add(two.stream, { name: 'same' })].flat()
  const results = await Promise.all(added.map((task) => task.done))
  expect(results.map((result) => result.sha256)).toEqual([one.sha256, two.sha256])
})
