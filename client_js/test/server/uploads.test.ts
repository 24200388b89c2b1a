import { createHash } from 'node:crypto'
import { mkdtempSync, openAsBlob, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HttpClient } from '../../src/core/seams.js'
import type { Protocol, Source, Uploader, UploaderOptions, UploadTask } from '../../src/core/types.js'
import { createUploader, sourceOf } from '../../src/index.js'
import { fetchClient } from '../../src/net/fetch.js'
import { MemoryStore } from '../../src/store/memory.js'
import { Onward } from '../support/onward.js'
import { noise, UNIT } from '../support/world.js'

let server: Onward
const folder = mkdtempSync(join(tmpdir(), 'onward-files-'))
const open: Uploader[] = []

beforeAll(async () => {
  server = await Onward.start()
}, 60_000)
afterAll(async () => {
  for (const uploader of open) await uploader[Symbol.asyncDispose]()
  await server.end()
  rmSync(folder, { recursive: true, force: true })
})

function uploader(protocol: Protocol, options: Partial<UploaderOptions> = {}): Uploader {
  const made = createUploader({
    endpoint: `${server.url}/${protocol === 'chunk' ? 'upload' : 'files'}`,
    protocol,
    chunkSize: { max: 2 * UNIT },
    retry: { baseMs: 50, capMs: 500 },
    ...options,
  })
  open.push(made)
  return made
}

async function fileOf(name: string, size: number): Promise<{ source: Source; sha256: string }> {
  const bytes = noise(size, size)
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return { source: sourceOf(await openAsBlob(path), name), sha256: createHash('sha256').update(bytes).digest('hex') }
}

async function published(url: string): Promise<string> {
  const answer = await fetch(url)
  expect(answer.status).toBe(200)
  return createHash('sha256')
    .update(new Uint8Array(await answer.arrayBuffer()))
    .digest('hex')
}

/** Until the server has acknowledged so much. */
function acked(task: UploadTask, from: Uploader, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (task.progress.acked < bytes) return
      leave()
      resolve()
    }
    const leave = from.subscribe(look)
    look()
  })
}

describe.each(['chunk', 'tus', 'ietf'] as const)('%s', (protocol) => {
  test('what is published is what was sent, and is proven', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-whole.bin`, 9 * UNIT + 4321)
    const [task] = await uploader(protocol).add([source], { meta: { colour: 'grün' } })
    const result = await task?.done
    expect(result).toMatchObject({ size: source.size, sha256, verified: true })
    expect(await published(result?.url ?? '')).toBe(sha256)
  })

  test('an empty file', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-empty`, 0)
    const [task] = await uploader(protocol).add([source])
    expect(await task?.done).toMatchObject({ size: 0, sha256 })
  })

  test('a creation that the browser repeats by itself is one upload, under the name of the file', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-repeated.bin`, 5 * UNIT)
    let repeated = 0
    const net: HttpClient = {
      ...fetchClient,
      async send(request) {
        if (request.method === 'POST' && repeated++ === 0) await fetchClient.send(request) // this answer is lost
        return await fetchClient.send(request)
      },
    }
    const [task] = await uploader(protocol, { net }).add([source])
    const result = await task?.done
    expect(repeated).toBeGreaterThan(0)
    expect(task?.name).toBe(source.name)
    expect(await published(result?.url ?? '')).toBe(sha256)
    const { uploads } = await (await fetch(`${server.url}/uploads?limit=200`)).json()
    const same = uploads.filter((upload: { name: string }) => upload.name?.startsWith(`${protocol}-repeated`))
    expect(same.map((upload: { name: string }) => upload.name)).toEqual([source.name])
  })

  test('paused and gone on with', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-paused.bin`, 20 * UNIT)
    const page = uploader(protocol, { chunkSize: UNIT })
    const [task] = await page.add([source])
    await acked(task as UploadTask, page, 4 * UNIT)
    task?.pause()
    expect(task?.state).toBe('paused')
    task?.resume()
    const result = await task?.done
    expect(await published(result?.url ?? '')).toBe(sha256)
  })

  test('a server that is killed in the middle and comes back', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-killed.bin`, 40 * UNIT)
    const page = uploader(protocol, { chunkSize: UNIT })
    const [task] = await page.add([source])
    await acked(task as UploadTask, page, 8 * UNIT)
    await server.kill()
    expect(task?.state).not.toBe('failed')
    await server.start()
    task?.resume()
    const result = await task?.done
    expect(await published(result?.url ?? '')).toBe(sha256)
    expect(task?.progress.resentBytes).toBeLessThan(40 * UNIT)
  }, 60_000)

  test('a page that is closed in the middle, and another one that goes on', async () => {
    const { source, sha256 } = await fileOf(`${protocol}-closed.bin`, 24 * UNIT)
    const store = new MemoryStore()
    const first = uploader(protocol, { store, chunkSize: UNIT })
    const [half] = await first.add([source])
    await acked(half as UploadTask, first, 6 * UNIT)
    await first[Symbol.asyncDispose]()
    const second = uploader(protocol, { store, chunkSize: UNIT })
    const [task] = await second.restore()
    expect(task?.state).toBe('needs-file')
    expect(await task?.attach(source)).toBe('match')
    const result = await task?.done
    expect(await published(result?.url ?? '')).toBe(sha256)
    expect(await store.all()).toEqual([])
  })

  test('a cancelled upload is gone from the server', async () => {
    const { source } = await fileOf(`${protocol}-cancelled.bin`, 24 * UNIT)
    const page = uploader(protocol, { chunkSize: UNIT })
    const [task] = await page.add([source])
    await acked(task as UploadTask, page, 2 * UNIT)
    await task?.cancel()
    await expect(task?.done).rejects.toMatchObject({ code: 'cancelled' })
    const answer = await fetch(`${server.url}/uploads?state=receiving`)
    const { uploads } = (await answer.json()) as { uploads: { name: string }[] }
    expect(uploads.filter(({ name }) => name === `${protocol}-cancelled.bin`)).toEqual([])
  })
})

test('a name that is taken gets a number; a file that is there already in part is gone on with', async () => {
  const { source } = await fileOf('same.bin', 3 * UNIT)
  const { source: other, sha256 } = await fileOf('other.bin', 4 * UNIT)
  const [first] = await uploader('chunk').add([source])
  await first?.done
  const [second] = await uploader('chunk').add([{ ...other, name: 'same.bin' }])
  const result = await second?.done
  expect(await published(result?.url ?? '')).toBe(sha256)
  const shown = (await (await fetch(`${server.url}/uploads/${result?.id}`)).json()) as { name: string }
  expect(shown.name).toBe('same (2).bin')
})

test('many small files of a folder, each under its path', async () => {
  const files = await Promise.all(
    Array.from({ length: 60 }, async (_, at) => {
      const { source } = await fileOf(`small-${at}`, at)
      return { ...source, relativePath: `deep/folder/small-${at}` }
    }),
  )
  const tasks = await uploader('chunk').add(files)
  const results = await Promise.all(tasks.map((task) => task.done))
  expect(results.every((result) => result.verified)).toBe(true)
  const shown = await (await fetch(`${server.url}/uploads/${results[7]?.id}`)).json()
  expect(shown).toMatchObject({ name: 'deep__folder__small-7', state: 'done' })
}, 60_000)
