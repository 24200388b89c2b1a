import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { settle } from '../support/clock.js'
import { answer, problem, sha } from '../support/server.js'
import { fileOf, noise, UNIT, World } from '../support/world.js'

let world: World
beforeEach(() => {
  world = new World()
})
afterEach(() => world.end())

const puts = () => world.server.log.filter((line) => line.startsWith('PUT'))

describe('lanes', () => {
  test('four requests at a time over all files, each with its digest', async () => {
    world.server.bytesPerSecond = UNIT
    const tasks = await world.tab().add([fileOf('a', noise(8 * UNIT)), fileOf('b', noise(8 * UNIT, 2))])
    await world.run()
    expect(world.server.most).toBe(4)
    for (const task of tasks) expect((await task.done).verified).toBe(true)
    const sent = world.server.requests.filter((request) => request.method === 'PUT')
    expect(sent.every((request) => request.headers['Content-Digest']?.startsWith('sha-256=:'))).toBe(true)
  })

  test('files take turns: a large one does not hold up a small one', async () => {
    world.server.bytesPerSecond = UNIT
    const [large, small] = await world.tab().add([fileOf('large', noise(40 * UNIT)), fileOf('small', noise(UNIT, 2))])
    await world.run(5000)
    expect(small?.state).toBe('done')
    expect(large?.state).toBe('uploading')
  })

  test('chunks arrive out of order and make the file all the same', async () => {
    const bytes = noise(4 * UNIT)
    world.server.rules = [
      async (request) => {
        const at = Number(request.headers['Upload-Offset'] ?? 0)
        await new Promise<void>((resolve) => world.clock.after(1000 - at / 2000, resolve))
        return undefined
      },
    ]
    const [task] = await world.tab().add([fileOf('a', bytes)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(world.server.file('a').parts[0]?.offset).not.toBe(0)
  })
})

describe('retries', () => {
  test('a failing file goes to the back of the queue; the others go on', async () => {
    world.server.rules = [
      (request) => (request.method === 'POST' && String(request.body).includes('"bad"') ? answer(503) : undefined),
    ]
    const tab = world.tab({ parallel: 1 })
    const [bad, ...good] = await tab.add(['bad', 'b', 'c', 'd'].map((name, at) => fileOf(name, noise(UNIT, at + 1))))
    await world.run(10_000)
    expect(good.map((task) => task.state)).toEqual(['done', 'done', 'done'])
    expect(bad?.state).toBe('waiting')
  })

  test('full jitter: the wait is a draw from zero to a ceiling that doubles', async () => {
    const at: number[] = []
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT') return undefined
        at.push(world.clock.now())
        return answer(503)
      },
    ]
    await world.tab({ parallel: 1 }).add([fileOf('a', noise(10))])
    await world.run(12_000)
    const gaps = at.slice(1).map((time, index) => time - (at[index] as number))
    expect(gaps.slice(0, 5)).toEqual([250, 500, 1000, 2000, 4000])
  })

  test('Retry-After is honoured', async () => {
    const at: number[] = []
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT' || at.push(world.clock.now()) > 1) return undefined
        return answer(429, '', { 'Retry-After': '7' })
      },
    ]
    const [task] = await world.tab().add([fileOf('a', noise(10))])
    await world.run()
    expect((at[1] as number) - (at[0] as number)).toBe(7250)
    expect(task?.state).toBe('done')
    expect(task?.progress.retries).toBe(1)
  })

  test('the back-off begins anew when bytes were acknowledged', async () => {
    const at: [number, number][] = []
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT') return undefined
        const offset = Number(request.headers['Upload-Offset'])
        at.push([offset, world.clock.now()])
        return at.filter(([one]) => one === offset).length <= 3 ? answer(503) : undefined
      },
    ]
    await world.tab({ parallel: 1 }).add([fileOf('a', noise(2 * UNIT))])
    await world.run(30_000)
    const gaps = (offset: number) => {
      const times = at.filter(([one]) => one === offset).map(([, time]) => time)
      return times.slice(1).map((time, index) => time - (times[index] as number))
    }
    expect(gaps(0)).toEqual([250, 500, 1000])
    expect(gaps(UNIT)).toEqual([250, 500, 1000])
  })

  test('it gives up by time without progress, not by count', async () => {
    world.server.rules = [(request) => (request.method === 'PUT' ? answer(503) : undefined)]
    const tab = world.tab({ retry: { maxElapsedMs: 10 * 60_000, capMs: 1000 } })
    const [task] = await tab.add([fileOf('a', noise(10))])
    await world.run(9 * 60_000)
    expect(puts().length).toBeGreaterThan(500)
    expect(task?.state).toBe('waiting')
    await world.run(2 * 60_000)
    expect(task?.state).toBe('failed')
    await expect(task?.done).rejects.toMatchObject({ code: 'http', status: 503 })
  })

  test('a page may decide itself what is tried again', async () => {
    world.server.rules = [(request) => (request.method === 'PUT' ? answer(503) : undefined)]
    const tab = world.tab({ retry: { shouldRetry: (error, attempt) => error.status === 503 && attempt < 3 } })
    const [task] = await tab.add([fileOf('a', noise(10))])
    await world.run()
    expect(task?.state).toBe('failed')
    expect(puts()).toHaveLength(3)
  })

  test('a refusal that stays is not tried again, and a person may', async () => {
    let refuse = true
    world.server.rules = [(request) => (request.method === 'PUT' && refuse ? problem(403, 'refused') : undefined)]
    const [task] = await world.tab().add([fileOf('a', noise(10))])
    await world.run()
    expect(task?.state).toBe('failed')
    expect(puts()).toHaveLength(1)
    refuse = false
    task?.resume()
    await world.run()
    expect(await task?.done).toMatchObject({ verified: true })
  })
})

describe('chunk size', () => {
  test('adapts to what goes in four seconds, in units of 256 KiB', async () => {
    world.server.bytesPerSecond = UNIT // a chunk of 1 MiB takes four seconds
    const tab = world.tab({ parallel: 1, chunkSize: {} })
    await tab.add([fileOf('a', noise(24 * UNIT))])
    await world.run()
    const sizes = world.server.file('a').parts.map((part) => part.size / UNIT)
    expect(sizes.slice(0, 3)).toEqual([4, 4, 4])
    world.server.bytesPerSecond = 4 * UNIT
    await tab.add([fileOf('b', noise(80 * UNIT))])
    await world.run(120_000)
    expect(
      world.server
        .file('b')
        .parts.map((part) => part.size / UNIT)
        .slice(0, 4),
    ).toEqual([4, 8, 16, 16])
  })

  test('413 halves it at once, and the page is told', async () => {
    const warnings: string[] = []
    world.server.rules = [(request, body) => (request.method === 'PUT' && body.length > UNIT ? answer(413) : undefined)]
    const tab = world.tab({ chunkSize: { max: 4 * UNIT }, parallel: 1 })
    tab.on('warning', ({ message }) => warnings.push(message))
    const [task] = await tab.add([fileOf('a', noise(4 * UNIT))])
    await settle()
    await world.run(1000)
    expect(task?.state).toBe('done')
    expect(world.server.file('a').parts.map((part) => part.size)).toEqual([UNIT, UNIT, UNIT, UNIT])
    expect(warnings[0]).toMatch(/smaller/)
  })

  test('413 with a limit: the limit is taken', async () => {
    world.server.rules = [
      (request, body) =>
        request.method === 'PUT' && body.length > 100_000
          ? problem(413, 'chunk-too-large', { limit: 100_000 })
          : undefined,
    ]
    const [task] = await world.tab({ parallel: 1 }).add([fileOf('a', noise(UNIT))])
    await world.run(1000)
    expect(task?.state).toBe('done')
    expect(world.server.file('a').parts.map((part) => part.size)).toEqual([100_000, 100_000, UNIT - 200_000])
  })

  test('a file larger than the server takes fails at once', async () => {
    world.server.rules = [(request) => (request.method === 'POST' ? problem(413, 'upload-too-large') : undefined)]
    const [task] = await world.tab().add([fileOf('a', noise(UNIT))])
    await world.run(1000)
    await expect(task?.done).rejects.toMatchObject({ code: 'too-large' })
  })
})

describe('stalls', () => {
  test('15 s without progress: the request is broken off, chunks and lanes are halved', async () => {
    let hang = true
    world.server.rules = [(request) => (request.method === 'PUT' && hang ? 'hang' : undefined)]
    const tab = world.tab({ chunkSize: { max: 4 * UNIT } })
    const [task] = await tab.add([fileOf('a', noise(16 * UNIT))])
    await world.run(14_900)
    expect(task?.lanes).toHaveLength(4)
    world.draw = 0
    await world.run(200)
    expect(task?.lanes.map((lane) => lane.end - lane.start)).toEqual([2 * UNIT, 2 * UNIT])
    hang = false
    await world.run()
    expect(task?.state).toBe('done')
  })

  test('progress keeps a slow request alive', async () => {
    world.server.bytesPerSecond = UNIT / 50
    const [task] = await world.tab({ parallel: 1 }).add([fileOf('a', noise(UNIT))])
    await world.run(60_000)
    expect(task?.state).toBe('done')
    expect(task?.progress.retries).toBe(0)
  })

  test('two stalls of the same bytes: they are sent in another form', async () => {
    const kinds: string[] = []
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT') return undefined
        kinds.push(request.body instanceof Blob ? 'blob' : 'bytes')
        return kinds.length <= 4 ? 'hang' : undefined
      },
    ]
    const tab = world.tab({ parallel: 1, chunkSize: UNIT, env: { body: 'slice' } })
    const [task] = await tab.add([fileOf('a', noise(UNIT))])
    await world.run(240_000)
    expect(task?.state).toBe('done')
    expect(kinds).toEqual(['blob', 'blob', 'blob', 'bytes', 'bytes'])
  })
})

describe('what the server says', () => {
  test('404 in the middle: a new upload, with a warning', async () => {
    const warnings: string[] = []
    let lost = false
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT' || lost || Number(request.headers['Upload-Offset']) < UNIT) return undefined
        lost = true
        world.server.files.clear()
        return problem(404, 'not-found')
      },
    ]
    const bytes = noise(3 * UNIT)
    const tab = world.tab({ parallel: 1 })
    tab.on('warning', ({ message }) => warnings.push(message))
    const [task] = await tab.add([fileOf('a', bytes)])
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(warnings[0]).toMatch(/begins anew/)
    expect(world.server.count('POST /upload')).toBe(3)
  })

  test.each([409, 423])('%i: the status is asked for, then the upload goes on', async (status) => {
    let once = true
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT' || !once || request.headers['Upload-Offset'] === '0') return undefined
        once = false
        return problem(status, status === 423 ? 'locked' : 'offset-mismatch')
      },
    ]
    const [task] = await world.tab({ parallel: 1 }).add([fileOf('a', noise(3 * UNIT))])
    await world.run(5000)
    expect(task?.state).toBe('done')
    const [first] = world.server.log.filter((line) => line.startsWith('GET'))
    expect(world.server.log.indexOf(first ?? '')).toBeLessThan(world.server.log.lastIndexOf(puts().at(-1) ?? ''))
  })

  test('401: headers are asked for once more, then once again with each request', async () => {
    const asked: boolean[] = []
    let token = 'old'
    world.server.rules = [(request) => (request.headers.Authorization === 'fresh' ? undefined : answer(401))]
    const tab = world.tab({
      headers: async ({ refresh }) => {
        asked.push(refresh)
        if (refresh) token = 'fresh'
        return { Authorization: token }
      },
    })
    const [task] = await tab.add([fileOf('a', noise(2 * UNIT))])
    await world.run(5000)
    expect(task?.state).toBe('done')
    expect(asked.filter(Boolean)).toHaveLength(1)
    expect(asked.length).toBe(world.server.log.length)
  })

  test('401 of four requests together: one renews the headers, the others wait for it', async () => {
    world.server.bytesPerSecond = UNIT
    const asked: boolean[] = []
    let [good, token] = ['old', 'old']
    world.server.rules = [(request) => (request.headers.Authorization === good ? undefined : answer(401))]
    const tab = world.tab({
      headers: async ({ refresh }) => {
        asked.push(refresh)
        if (refresh) {
          await new Promise<void>((resolve) => world.clock.after(300, resolve))
          token = good
        }
        return { Authorization: token }
      },
    })
    const bytes = noise(12 * UNIT)
    const [task] = await tab.add([fileOf('a', bytes)])
    await world.run(1500)
    good = 'fresh'
    await world.run()
    expect((await task?.done)?.sha256).toBe(sha(bytes))
    expect(asked.filter(Boolean)).toHaveLength(1)
    expect(task?.progress.retries).toBe(0)
    expect(puts()).toHaveLength(16) // four went twice
  })

  test('401 twice is the end, and a new try after logging in works', async () => {
    let open = false
    world.server.rules = [() => (open ? undefined : answer(401))]
    const [task] = await world.tab().add([fileOf('a', noise(UNIT))])
    await world.run(5000)
    await expect(task?.done).rejects.toMatchObject({ code: 'auth' })
    expect(world.server.log).toHaveLength(2)
    open = true
    task?.resume()
    await world.run(5000)
    expect(task?.state).toBe('done')
  })

  test('507: the disk is full, so it waits long, and goes on', async () => {
    let full = true
    world.server.rules = [(request) => (request.method === 'PUT' && full ? problem(507, 'no-space') : undefined)]
    const [task] = await world.tab().add([fileOf('a', noise(10))])
    await world.run(1900)
    expect(puts()).toHaveLength(1)
    full = false
    await world.run(500)
    expect(task?.state).toBe('done')
  })

  test('a digest that does not match on arrival: the bytes are sent again', async () => {
    let once = true
    world.server.rules = [
      (request) => {
        if (request.method !== 'PUT' || !once) return undefined
        once = false
        return problem(422, 'digest-mismatch')
      },
    ]
    const [task] = await world.tab().add([fileOf('a', noise(10))])
    await world.run(5000)
    expect(task?.state).toBe('done')
  })
})

test('a server that forgets every upload at once is not asked for ever', async () => {
  world.server.rules = [(request) => (request.method === 'PUT' ? problem(404, 'not-found') : undefined)]
  const [task] = await world.tab().add([fileOf('a', noise(10))])
  await world.run()
  await expect(task?.done).rejects.toMatchObject({ code: 'expired' })
  expect(puts().length).toBeLessThan(6)
})

test('a wrong address fails as such', async () => {
  world.server.rules = [() => answer(404, '<html>')]
  const [task] = await world.tab().add([fileOf('a', noise(10))])
  await world.run()
  await expect(task?.done).rejects.toMatchObject({ code: 'http', status: 404 })
})

describe('the file', () => {
  test('that has changed on disk fails as such, and is not tried again', async () => {
    const error = Object.assign(new Error('gone'), { name: 'NotReadableError' })
    const file = fileOf('a', noise(4 * UNIT), { slice: () => Promise.reject(error) })
    const [task] = await world.tab().add([file])
    await world.run(5000)
    await expect(task?.done).rejects.toMatchObject({ code: 'file-changed' })
    expect(puts()).toHaveLength(0)
  })

  test('that has become shorter fails as changed', async () => {
    const [task] = await world.tab().add([fileOf('a', noise(UNIT), { size: 2 * UNIT })])
    await world.run(5000)
    await expect(task?.done).rejects.toMatchObject({ code: 'file-changed' })
  })

  test('that has no byte is an upload too', async () => {
    const [task] = await world.tab().add([fileOf('empty', noise(0))])
    await world.run(5000)
    expect(await task?.done).toMatchObject({ size: 0, sha256: sha(new Uint8Array()) })
  })
})

test('every request is remembered: when, on which lane, and what became of it', async () => {
  world.server.bytesPerSecond = UNIT
  let failures = 1
  world.server.rules = [(request) => (request.method === 'PUT' && failures-- > 0 ? answer(503) : undefined)]
  const [task] = await world.tab({ parallel: 2 }).add([fileOf('a', noise(8 * UNIT))])
  await world.run(3_000)
  task?.pause()
  await settle()
  const isStopped = task?.history.some((one) => one.outcome === 'stopped')
  task?.resume()
  await world.run()
  await task?.done
  const history = task?.history ?? []
  expect(isStopped).toBe(true)
  expect(history.filter((one) => one.outcome === 'failed')).toHaveLength(1)
  expect(history.reduce((sum, one) => sum + one.stored, 0)).toBe(8 * UNIT)
  expect(new Set(history.map((one) => one.lane))).toEqual(new Set([0, 1]))
  for (const one of history) expect(one.until).toBeGreaterThanOrEqual(one.since)
  expect(history.every((one) => (one.outcome === 'stored') === one.stored > 0)).toBe(true)
})
