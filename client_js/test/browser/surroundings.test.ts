import { afterEach, describe, expect, test, vi } from 'vitest'
import type { ResumeRecord } from '../../src/core/seams.js'
import { browserEnv, systemClock } from '../../src/env/browser.js'
import { sourcesOf } from '../../src/env/inputs.js'
import { LeaseLocks } from '../../src/env/lease.js'
import { webLocks } from '../../src/env/locks.js'
import { hasher } from '../../src/hash/hasher.js'
import { HashPool } from '../../src/hash/pool.js'
import { sha256 } from '../../src/hash/sha256.js'
import { startWorker } from '../../src/hash/start.js'
import { xhrSend } from '../../src/net/xhr.js'
import { IdbStore } from '../../src/store/idb.js'

afterEach(() => vi.restoreAllMocks())

const text = new TextEncoder()
const ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'

describe('records', () => {
  const record: ResumeRecord = {
    ...{ key: 'k', endpoint: 'http://test/upload', protocol: 'chunk', scope: '', createdAt: 1, name: 'a', size: 9 },
    ...{
      type: '',
      lastModified: 7,
      meta: {},
      session: { id: 'x', url: 'http://test/upload/x' },
      acked: 4,
      sealed: false,
    },
  }

  test('are kept by the database, with the handle of their file', async () => {
    const root = await navigator.storage.getDirectory()
    const handle = await root.getFileHandle('film.bin', { create: true })
    const writable = await handle.createWritable()
    await writable.write('abc')
    await writable.close()
    await new IdbStore().put({ ...record, handle })
    await new IdbStore().put({ ...record, acked: 8, handle })
    const found = await new IdbStore().all() // as another page would
    expect(found).toHaveLength(1)
    expect(found[0]).toMatchObject({ key: 'k', acked: 8, session: { id: 'x' } })
    expect(await (await found[0]?.handle?.getFile())?.text()).toBe('abc')
    await new IdbStore().delete('k')
    expect(await new IdbStore().all()).toEqual([])
  })
})

describe('locks', () => {
  test("the browser's: one holder, taken over by another, who is told", async () => {
    const locks = webLocks(navigator.locks)
    const lost = vi.fn()
    const release = await locks.acquire('one', { onLost: lost })
    expect(release).not.toBeNull()
    expect(await locks.acquire('one', { onLost: () => undefined })).toBeNull()
    const taken = await locks.acquire('one', { steal: true, onLost: () => undefined })
    expect(taken).not.toBeNull()
    await vi.waitFor(() => expect(lost).toHaveBeenCalledOnce())
    taken?.()
    await vi.waitFor(async () => expect(await locks.acquire('one', { onLost: () => undefined })).not.toBeNull())
  })

  test('a lock that was let go is not lost', async () => {
    const lost = vi.fn()
    const locks = webLocks(navigator.locks)
    const release = await locks.acquire('two', { onLost: lost })
    release?.()
    await vi.waitFor(async () => expect(await locks.acquire('two', { onLost: () => undefined })).not.toBeNull())
    expect(lost).not.toHaveBeenCalled()
  })

  function tabs(): [LeaseLocks, LeaseLocks] {
    const { channel } = browserEnv()
    return [new LeaseLocks(channel('leases'), systemClock, 'a'), new LeaseLocks(channel('leases'), systemClock, 'b')]
  }

  test('leases between tabs, where the browser has no locks', async () => {
    const [one, two] = tabs()
    const lost = vi.fn()
    const release = await one.acquire('lease', { onLost: lost })
    expect(release).not.toBeNull()
    expect(await two.acquire('lease', { onLost: () => undefined })).toBeNull()
    expect(await two.acquire('lease', { steal: true, onLost: () => undefined })).not.toBeNull()
    expect(lost).toHaveBeenCalledOnce()
    expect(await one.acquire('lease', { onLost: () => undefined })).toBeNull()
  })

  test('of two that ask at the same moment one gets it', async () => {
    const [one, two] = tabs()
    const got = await Promise.all([one, two].map((locks) => locks.acquire('both', { onLost: () => undefined })))
    expect(got.filter(Boolean)).toHaveLength(1)
  })
})

describe('hashes', () => {
  test('in a worker, of blobs and of bytes, and of files larger than memory should hold', async () => {
    const pool = new HashPool(startWorker, () => Promise.reject(new Error('not here')))
    expect(await pool.digest(text.encode('abc'))).toBe(ABC)
    expect(await pool.digest(new Blob(['a', 'bc']))).toBe(ABC)
    const large = new Blob(Array.from({ length: 9 }, () => new Uint8Array(1 << 20).fill(7)))
    expect(await pool.whole(large)).toBe(await pool.digest(large))
    pool.close()
  })

  test('four at once come back to those who asked', async () => {
    const pool = new HashPool(startWorker, () => Promise.reject(new Error('not here')))
    const asked = await Promise.all(['a', 'b', 'abc', 'd'].map((word) => pool.digest(new Blob([word]))))
    expect(new Set(asked).size).toBe(4)
    expect(asked[2]).toBe(ABC)
    pool.close()
  })

  test('here, where a policy allows no worker', async () => {
    const pool = new HashPool(
      () => new Worker('/there/is/no/such/worker.js', { type: 'module' }),
      async () => sha256,
    )
    expect(await pool.digest(new Blob(['abc']))).toBe(ABC)
    expect(await pool.digest(new Blob(['abc']))).toBe(ABC)
  })

  test('of few bytes without asking a worker', async () => {
    let made = 0
    const Real = Worker
    vi.stubGlobal(
      'Worker',
      class extends Real {
        constructor(url: URL, options: WorkerOptions) {
          super(url, options)
          made += 1
        }
      },
    )
    const hashes = hasher()
    expect(await hashes.digest(text.encode('abc'))).toBe(ABC)
    expect(made).toBe(0)
    expect(await hashes.digest(new Blob(['abc']))).toBe(ABC)
    expect(made).toBe(1)
    hashes.close()
    vi.unstubAllGlobals()
  })

  test('by WebAssembly on plain http, where the browser has none', async () => {
    const subtle = vi.spyOn(globalThis.crypto, 'subtle', 'get').mockReturnValue(undefined as unknown as SubtleCrypto)
    expect(await sha256.digest(new Blob(['abc']))).toBe(ABC)
    expect(await sha256.digest(text.encode('abc'))).toBe(ABC)
    expect(subtle).toHaveBeenCalled()
  })
})

describe('requests', () => {
  test('tell what is on its way, carry headers, and are broken off', async () => {
    const sent: number[] = []
    const body = new Blob([new Uint8Array(300_000)])
    const request = { method: 'POST', url: '/there-is-nothing', headers: { 'X-Word': 'x' }, body, credentials: false }
    const { signal } = new AbortController()
    const answer = await xhrSend({ ...request, signal, onProgress: (bytes) => sent.push(bytes) })
    expect(answer.status).toBeGreaterThan(0)
    expect(answer.header('X-There-Is-None')).toBeNull()
    expect(sent.at(-1)).toBe(300_000)
    const stop = new AbortController()
    const broken = xhrSend({ ...request, signal: stop.signal })
    stop.abort()
    await expect(broken).rejects.toThrow(/no answer/)
  })

  test('without an answer are errors', async () => {
    const { signal } = new AbortController()
    const url = 'http://127.0.0.1:1/' // nobody listens there
    await expect(xhrSend({ method: 'GET', url, headers: {}, credentials: false, signal })).rejects.toThrow()
  })
})

describe('guards', () => {
  test('the page warns before it is left, and only while it should', () => {
    const env = browserEnv()
    const leave = () => {
      const event = new Event('beforeunload', { cancelable: true })
      window.dispatchEvent(event)
      return event.defaultPrevented
    }
    expect(leave()).toBe(false)
    env.warnOnLeave(true)
    expect(leave()).toBe(true)
    env.warnOnLeave(false)
    expect(leave()).toBe(false)
  })

  test('the device is kept awake, again after the page was hidden, and let go', async () => {
    const held: { released: boolean; release(): Promise<undefined> }[] = []
    const request = vi.spyOn(navigator.wakeLock, 'request').mockImplementation(async () => {
      const sentinel = { released: false, release: async () => undefined }
      sentinel.release = async () => {
        sentinel.released = true
        return undefined
      }
      held.push(sentinel)
      return sentinel as unknown as WakeLockSentinel
    })
    const env = browserEnv()
    env.keepAwake(true)
    env.keepAwake(true)
    await vi.waitFor(() => expect(held).toHaveLength(1))
    await Promise.resolve()
    if (held[0]) held[0].released = true // as a hidden page loses it
    document.dispatchEvent(new Event('visibilitychange'))
    await vi.waitFor(() => expect(held).toHaveLength(2))
    await Promise.resolve()
    env.keepAwake(false)
    await vi.waitFor(() => expect(held[1]?.released).toBe(true))
    document.dispatchEvent(new Event('visibilitychange'))
    expect(request).toHaveBeenCalledTimes(2)
  })

  test('the network events of the browser are heard, until nobody listens', () => {
    const [gone, back] = [vi.fn(), vi.fn()]
    const stop = browserEnv().watchNetwork({ gone, back })
    window.dispatchEvent(new Event('offline'))
    window.dispatchEvent(new Event('online'))
    stop()
    window.dispatchEvent(new Event('offline'))
    expect([gone.mock.calls.length, back.mock.calls.length]).toEqual([1, 1])
  })

  test('lanes and bodies fit this browser', () => {
    const env = browserEnv()
    expect([2, 4]).toContain(env.lanes())
    expect(env.body).toBe('slice')
    vi.spyOn(navigator, 'vendor', 'get').mockReturnValue('Apple Computer, Inc.')
    expect(browserEnv().body).toBe('buffer')
    expect(env.id()).toMatch(/^[0-9a-f]{32}$/)
  })
})

test('a real drop', async () => {
  const transfer = new DataTransfer()
  transfer.items.add(new File(['abc'], 'a.txt'))
  transfer.items.add(new File(['de'], 'b.txt'))
  transfer.items.add('words', 'text/plain')
  const sources = await sourcesOf(transfer)
  expect(sources.map(({ name, size }) => [name, size])).toEqual([
    ['a.txt', 3],
    ['b.txt', 2],
  ])
  expect(await new Blob([await sources[0]!.slice(1, 3)]).text()).toBe('bc')
})
