import { afterEach, beforeEach, expect, test } from 'vitest'
import { UploadError } from '../../src/core/errors.js'
import type { Channel, HttpClient, Locks, Standing } from '../../src/core/seams.js'
import { LocalLocks } from '../../src/env/locks.js'
import { HttpCaller } from '../../src/net/call.js'
import { eventsIn, type ServerEvent } from '../../src/net/events.js'
import { Follower, streamer } from '../../src/net/follow.js'
import { FakeClock, settle } from '../support/clock.js'
import { answer, problem } from '../support/server.js'

async function* texts(...parts: string[]): AsyncGenerator<string> {
  yield* parts
}

test('events are read whatever the pieces that they come in', async () => {
  const text = 'retry: 2000\n\n: alive\n\nid: 1\nevent: state\ndata: {"a":\ndata: 1}\n\nevent: done\r\ndata: x\r\n\r\n'
  for (const cut of [1, 7, 30, text.length]) {
    const parts = text.match(new RegExp(`[^]{1,${cut}}`, 'g')) ?? []
    const found: ServerEvent[] = []
    for await (const event of eventsIn(texts(...parts))) found.push(event)
    expect(found).toEqual([
      { event: 'state', data: '{"a":\n1}', id: '1' },
      { event: 'done', data: 'x', id: undefined },
    ])
  }
})

/** A stream that is told what to say. */
class Line {
  #parts: string[] = []
  #wake: () => void = () => undefined
  #over = false

  say(event: string, data: object): void {
    this.#parts.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    this.#wake()
  }

  end(): void {
    this.#over = true
    this.#wake()
  }

  async *text(): AsyncGenerator<string> {
    for (;;) {
      const part = this.#parts.shift()
      if (part) yield part
      else if (this.#over) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

class Browser {
  readonly clock = new FakeClock()
  readonly lines = new Map<string, Line>()
  readonly asked: string[] = []
  readonly locks: Locks = new LocalLocks()
  readonly #heard = new Set<(message: unknown) => void>()
  readonly followers: Follower[] = []
  said: object = { state: 'verifying' }
  answers: (url: string) => object = () => this.said
  status = 200
  refuseStreams = false
  asking = 0
  most = 0

  follower(): Follower {
    const net: HttpClient = {
      send: async ({ url }) => {
        this.asked.push(url)
        this.most = Math.max(this.most, ++this.asking)
        await new Promise<void>((resolve) => this.clock.after(100, resolve))
        this.asking -= 1
        return this.status === 200 ? answer(200, this.answers(url)) : problem(this.status, '')
      },
      stream: async ({ url }) => {
        if (this.refuseStreams) return { status: 403, text: texts() }
        const line = new Line()
        this.lines.set(url, line)
        return { status: 200, text: line.text() }
      },
    }
    const { clock, locks } = this
    const via = new HttpCaller({ net, clock, credentials: false, stallMs: 15_000 })
    const stream = streamer(net, { endpoint: 'http://test/upload' })
    const made = new Follower({ clock, via, locks, channel: this.#channel(), lockName: 'events', stream })
    this.followers.push(made)
    return made
  }

  #channel(): Channel {
    const own = new Set<(message: unknown) => void>()
    return {
      post: (message) => {
        for (const fn of this.#heard) if (!own.has(fn)) fn(message)
      },
      listen: (fn) => {
        own.add(fn)
        this.#heard.add(fn)
        return () => this.#heard.delete(fn)
      },
      close: () => undefined,
    }
  }
}

let browser: Browser
beforeEach(() => {
  browser = new Browser()
})
afterEach(() => {
  for (const line of browser.lines.values()) line.end()
  for (const follower of browser.followers) follower.close()
})

const session = (id: string) => ({ id, url: `http://test/upload/${id}`, events: `http://test/uploads/${id}/events` })
const log = () => {
  const told: (Standing | UploadError)[] = []
  return { told, on: (said: Standing | UploadError) => told.push(said) }
}

test('the stream tells the progress of the worker, and its end is asked for at once', async () => {
  const { told, on } = log()
  browser.follower().watch(session('a'), on)
  await browser.clock.pass(350)
  const line = browser.lines.get('http://test/uploads/a/events')
  line?.say('state', { state: 'verifying', progress: null })
  line?.say('verifying', { id: 'a', phase: 'verifying', done: 5, total: 10 })
  await settle()
  expect(told.at(-1)).toMatchObject({ state: 'verifying', finishing: { done: 5, total: 10 } })
  browser.said = { state: 'done', result: { content: '/files/a/content', size: 10, sha256: 'ab' } }
  line?.say('published', { id: 'a' })
  await browser.clock.pass(100)
  expect(told.at(-1)).toMatchObject({ state: 'done', result: { sha256: 'ab' } })
  expect(browser.asked).toHaveLength(2)
})

test('what is done by the first question is not streamed, and takes no other', async () => {
  browser.said = { state: 'done', result: { content: '', size: 1 } }
  const follower = browser.follower()
  const { told, on } = log()
  for (let at = 0; at < 40; at++) follower.watch(session(`u${at}`), on)
  await browser.clock.pass(10_000)
  expect(told).toHaveLength(40)
  expect(browser.asked).toHaveLength(40)
  expect(browser.lines.size).toBe(0)
})

test('however many wait for the worker, only a few questions are asked in a second', async () => {
  browser.refuseStreams = true
  const follower = browser.follower()
  for (let at = 0; at < 1000; at++) follower.watch(session(`u${at}`), () => undefined)
  await browser.clock.pass(10_000)
  expect(browser.asked.length).toBeLessThan(80)
})

test('behind one that takes long the others are found to be done', async () => {
  browser.refuseStreams = true
  const follower = browser.follower()
  const done = new Set<string>()
  for (let at = 0; at < 200; at++) {
    follower.watch(session(`u${at}`), (said) => 'state' in said && said.state === 'done' && done.add(`u${at}`))
  }
  browser.answers = (url) => (Number(url.split('u').at(-1)) < 40 ? browser.said : { state: 'done' })
  await browser.clock.pass(60_000)
  expect(done.size).toBe(160)
})

test('one stream for a browser: the tab that has it tells the others', async () => {
  const [one, two] = [browser.follower(), browser.follower()]
  one.watch(session('a'), () => undefined)
  await browser.clock.pass(350)
  const { told, on } = log()
  two.watch(session('b'), on)
  await browser.clock.pass(350)
  expect([...browser.lines.keys()]).toEqual(['http://test/uploads/a/events'])
  browser.lines.get('http://test/uploads/a/events')?.say('state', { state: 'done', result: { content: '', size: 1 } })
  await settle()
  const line = browser.lines.get('http://test/uploads/b/events')
  line?.say('verifying', { id: 'b', phase: 'assembling', done: 1, total: 2 })
  await settle()
  expect(told.at(-1)).toMatchObject({ state: 'assembling', finishing: { done: 1 } })
})

test('where nothing can be streamed it is asked, more and more rarely', async () => {
  browser.refuseStreams = true
  const { told, on } = log()
  browser.follower().watch(session('a'), on)
  await browser.clock.pass(1000)
  const early = browser.asked.length
  expect(early).toBeGreaterThan(1)
  await browser.clock.pass(30_000)
  expect(browser.asked.length - early).toBeLessThanOrEqual(13)
  browser.said = { state: 'failed', failure: { code: 'damaged', detail: 'broken' } }
  await browser.clock.pass(3000)
  expect(told.at(-1)).toMatchObject({ state: 'failed', failure: 'broken' })
})

test('a server that is away is asked again; an upload that is gone is not', async () => {
  browser.refuseStreams = true
  browser.status = 503
  const { told, on } = log()
  browser.follower().watch(session('a'), on)
  await browser.clock.pass(60_000)
  expect(told).toEqual([])
  expect(browser.asked.length).toBeGreaterThan(5)
  browser.status = 404
  await browser.clock.pass(4000)
  expect(told.at(-1)).toBeInstanceOf(UploadError)
  const before = browser.asked.length
  await browser.clock.pass(60_000)
  expect(browser.asked).toHaveLength(before)
})

test('at most two questions at a time', async () => {
  browser.refuseStreams = true
  const follower = browser.follower()
  for (let at = 0; at < 50; at++) follower.watch(session(`u${at}`), () => undefined)
  await browser.clock.pass(60_000)
  expect(new Set(browser.asked).size).toBe(50)
  expect(browser.most).toBe(2)
})
