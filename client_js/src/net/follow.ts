import { UploadError } from '../core/errors.js'
import type { Caller, Channel, Clock, HttpClient, Locks, Standing, UploadSession } from '../core/seams.js'
import type { UploaderOptions } from '../core/types.js'
import { finishingOf, standingOf } from '../protocol/manifest.js'
import { isObject, jsonOf, taken } from './answers.js'
import { headersFor } from './call.js'
import { eventsIn } from './events.js'

const FIRST = 250
const LONGEST = 3000
const RARELY = 10_000
const AT_A_TIME = 2
const RECONNECT = 2000

export interface FollowerOptions {
  readonly clock: Clock
  readonly via: Caller
  readonly locks: Locks
  readonly channel: Channel
  /** Of the browser's one stream. */
  readonly lockName: string
  /** Null: nothing can be streamed here. */
  readonly stream: ((url: string, signal: AbortSignal) => Promise<AsyncIterable<string>>) | null
}
/** How this page reads streams of events, with its own headers. */
export function streamer(net: HttpClient, options: UploaderOptions): FollowerOptions['stream'] {
  const { stream } = net
  if (!stream) return null
  return async (url, signal) => {
    const headers = await headersFor(options.headers, { Accept: 'text/event-stream' }, 'GET', url, false)
    const credentials = options.withCredentials ?? false
    const { status, text } = await stream({ method: 'GET', url, headers, credentials, signal })
    if (status !== 200) throw new Error(`no events: ${status}`)
    return text
  }
}

interface Watched {
  readonly session: UploadSession
  readonly on: (standing: Standing | UploadError) => void
  delay: number
  /** It is not asked for before. */
  due: number
  asking: boolean
}
interface Wish {
  readonly id: string
  readonly events: string
}

/**
 * What the server does with uploads that it has: asked again and again, and told by one stream of events per browser.
 * The tab that holds the stream tells the others what it says.
 */
export class Follower {
  readonly #watched = new Map<string, Watched>()
  readonly #wishes = new Map<string, Wish>()
  readonly #stop = new AbortController()
  readonly #unlisten: () => void
  #asking = 0
  /** Nothing is asked before. */
  #pause = 0
  #turn = false
  #next = Number.POSITIVE_INFINITY
  #cancel: () => void = () => undefined
  #leads = false
  #streaming = ''
  #release: (() => void) | null = null

  constructor(readonly options: FollowerOptions) {
    this.#unlisten = options.channel.listen((message) => this.#heard(message))
  }

  /** Calls `on` with every change until it tells the end, or until the returned function is called. */
  watch(session: UploadSession, on: (standing: Standing | UploadError) => void): () => void {
    const { id } = session
    const due = this.options.clock.now() + FIRST
    this.#watched.set(id, { session, on, delay: FIRST, due, asking: false })
    this.#planAt(due)
    return () => this.#unwatch(id)
  }

  close(): void {
    this.#stop.abort()
    this.#cancel()
    this.#unlisten()
    this.options.channel.close()
    for (const id of [...this.#watched.keys()]) this.#unwatch(id)
    this.#release?.()
  }

  #unwatch(id: string): void {
    this.#watched.delete(id)
    this.#wishes.delete(id)
  }

  // -- asking -----------------------------------------------------------------------------------------

  #planAt(time: number): void {
    if (time >= this.#next || this.#stop.signal.aborted) return
    this.#cancel()
    this.#next = time
    this.#cancel = this.options.clock.after(Math.max(0, time - this.options.clock.now()), () => {
      this.#next = Number.POSITIVE_INFINITY
      this.#plan()
    })
  }

  /**
   * By turns the oldest, which the server's worker comes to first, and the one that has waited longest: where one
   * takes long, those behind it are found out about as well.
   */
  #plan(): void {
    const now = this.options.clock.now()
    if (this.#pause > now) {
      this.#planAt(this.#pause)
      return
    }
    while (this.#asking < AT_A_TIME) {
      let oldest: Watched | undefined
      let longest: Watched | undefined
      for (const watched of this.#watched.values()) {
        if (watched.asking) continue
        if (watched.due <= now) oldest ??= watched
        if (!longest || watched.due < longest.due) longest = watched
      }
      if (longest && !oldest) this.#planAt(longest.due)
      if (!longest || !oldest) return
      this.#turn = !this.#turn
      void this.#ask(this.#turn ? oldest : longest)
    }
  }

  async #ask(watched: Watched): Promise<void> {
    const { session } = watched
    const { clock, via } = this.options
    watched.asking = true
    this.#asking += 1
    watched.delay = Math.min(LONGEST, watched.delay * 1.6)
    let pause = FIRST
    try {
      const url = session.status ?? session.url
      const request = { method: 'GET', url, headers: { Accept: 'application/json' } }
      const standing = standingOf(jsonOf(taken(await via.call(request, this.#stop.signal))))
      this.#tell(session.id, standing)
    } catch (error) {
      if (error instanceof UploadError && !error.retryable) this.#tell(session.id, error)
      else watched.delay = pause = LONGEST
    }
    watched.asking = false
    this.#asking -= 1
    if (this.#watched.get(session.id) === watched) {
      // However many there are, only a few are asked for that are not done yet.
      this.#pause = clock.now() + pause
      watched.due = clock.now() + (this.#streaming === session.id ? RARELY : watched.delay)
      this.#wish(session)
    } else this.#pause = 0
    this.#plan()
  }

  #tell(id: string, standing: Standing | UploadError): void {
    const over = standing instanceof UploadError || !['assembling', 'verifying'].includes(standing.state)
    const watched = this.#watched.get(id)
    if (over) this.#unwatch(id)
    watched?.on(standing)
  }

  // -- the stream -------------------------------------------------------------------------------------

  /** What takes longer is told by the stream; what is done by the first question needs none. */
  #wish({ id, events }: UploadSession): void {
    if (!events || !this.options.stream || this.#wishes.size) return
    this.#wishes.set(id, { id, events })
    this.options.channel.post({ wish: { id, events } })
    void this.#lead()
  }

  async #lead(): Promise<void> {
    if (this.#leads) return
    this.#leads = true
    const { locks, lockName } = this.options
    this.#release = await locks.acquire(lockName, { onLost: () => undefined }).catch(() => null)
    if (this.#release) {
      while (this.#wishes.size && !this.#stop.signal.aborted) await this.#stream([...this.#wishes.values()][0] as Wish)
      this.#release()
      this.#release = null
    }
    this.#leads = false
  }

  async #stream(wish: Wish): Promise<void> {
    try {
      const text = await this.options.stream?.(wish.events, this.#stop.signal)
      for await (const { event, data } of eventsIn(text ?? nothing())) {
        this.#streaming = wish.id
        this.options.channel.post({ news: { id: wish.id, event, data } })
        this.#news(wish.id, event, data)
        if (!this.#wishes.has(wish.id)) break
      }
      this.#wishes.delete(wish.id)
    } catch {
      this.#streaming = ''
      this.#wishes.delete(wish.id) // asking goes on: a stream only makes it quicker
      await new Promise<void>((resolve) => this.options.clock.after(RECONNECT, resolve))
    } finally {
      this.#streaming = ''
    }
  }

  #heard(message: unknown): void {
    if (!isObject(message)) return
    const { wish, news } = message
    if (isObject(wish) && this.#release)
      this.#wishes.set(String(wish.id), { id: String(wish.id), events: String(wish.events) })
    if (isObject(news)) this.#news(String(news.id), String(news.event), String(news.data))
  }

  #news(id: string, event: string, data: string): void {
    const watched = this.#watched.get(id)
    if (!watched) return
    if (event === 'verifying') {
      const finishing = finishingOf(JSON.parse(data))
      if (finishing) this.#tell(id, { state: finishing.phase, finishing, received: [], parts: [] })
    } else if (event === 'state') {
      this.#tell(id, standingOf(jsonOf({ status: 200, text: data, header: () => null })))
    } else if (['published', 'failed', 'removed', 'damaged'].includes(event)) {
      this.#pause = watched.due = 0
      this.#plan()
    }
  }
}

async function* nothing(): AsyncGenerator<string> {}
