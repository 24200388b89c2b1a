import { ChunkSizer } from './core/adapt.js'
import { BACKOFF } from './core/backoff.js'
import { Gate } from './core/gate.js'
import { Lazy, part } from './core/lazy.js'
import { Manager } from './core/manager.js'
import { Records } from './core/records.js'
import type { Room } from './core/room.js'
import { Scheduler } from './core/scheduler.js'
import type { Caller, Env, Hasher, HttpClient, Protocol, ResumeStore, Transport } from './core/seams.js'
import { Speed } from './core/speed.js'
import type { Source, Uploader, UploaderOptions } from './core/types.js'
import { browserEnv } from './env/browser.js'
import { sourcesOf } from './env/inputs.js'
import { later } from './protocol/later.js'
import { MemoryStore } from './store/memory.js'

const STALL = 15_000
/** Without progress being told, all of a request's time counts. */
const STALL_UNSEEN = 120_000
const DAY = 24 * 3600 * 1000

/** An uploader to `options.endpoint`. Make one per page, outside of any component; it starts no request by itself. */
export function createUploader(options: UploaderOptions): Uploader {
  const env: Env = { ...browserEnv(), ...options.env }
  const { clock } = env
  const endpoint = new URL(options.endpoint, globalThis.location?.href).href
  const protocol = options.protocol ?? 'chunk'
  const net = options.net ?? defaultNet()
  const hashing = part(async () => (await import('./hash/hasher.js')).hasher())
  const hasher = options.checksum === false ? null : (options.hasher ?? hasherIn(hashing))
  const stallMs = options.stallTimeoutMs ?? (net === fetching ? STALL_UNSEEN : STALL)
  const credentials = options.withCredentials ?? false
  const caller = part(async () => {
    const [{ HttpCaller }] = await Promise.all([import('./net/call.js'), net === telling && import('./net/xhr.js')])
    return new HttpCaller({ net, clock, headers: options.headers, credentials, stallMs })
  })
  const via: Caller = { call: async (request, signal) => (await caller.get()).call(request, signal) }
  const { baseMs: base = BACKOFF.base, capMs: cap = BACKOFF.cap, maxElapsedMs = DAY } = options.retry ?? {}
  const probe = async (): Promise<boolean> =>
    caller.get().then(
      (one) => one.reach(endpoint),
      () => false,
    )
  const gate: Gate = new Gate(clock, options.probe === false ? null : probe, () => manager.connectionChanged())
  const transport = part(() => transportFor(protocol, endpoint))
  const tasks = part(async () => (await import('./core/task.js')).Task)
  const streams = part(async () => (await import('./core/stream.js')).StreamTransfer)
  const parallel = options.parallel === undefined || options.parallel === 'auto' ? env.lanes() : options.parallel
  const room: Room = {
    options,
    clock,
    random: env.random,
    id: env.id,
    transport: options.transport ?? later(protocol === 'chunk', transport),
    via,
    hasher,
    sizer: new ChunkSizer(options.chunkSize),
    gate,
    speed: new Speed(),
    scheduler: new Scheduler(parallel, clock, () => gate.passes),
    backoff: { ...BACKOFF, base, cap },
    maxElapsedMs,
    body: options.body && options.body !== 'auto' ? options.body : env.body,
  }
  const store = options.persist === false ? null : (options.store ?? defaultStore())
  const own = { endpoint, protocol, scope: options.scope ?? '' }
  const records = new Records(store, clock, own, (error) => console.warn('onward-upload:', error))
  const follower = new Lazy(async () => {
    const { Follower, streamer } = await import('./net/follow.js')
    const channel = env.channel('onward:events')
    const lockName = `onward:events:${endpoint}`
    return new Follower({ clock, via, locks: env.locks, channel, lockName, stream: streamer(net, options) })
  })
  const channel = env.channel(`onward:uploads:${endpoint}`)
  const prefetch = (): void => {
    const parts: Lazy<unknown>[] = [tasks, caller, follower]
    if (!options.transport) parts.push(transport)
    if (hasher && !options.hasher) parts.push(hashing)
    // What fails now is asked for again when it is needed, and told then.
    for (const one of parts) one.get().catch(() => undefined)
  }
  const close = async (): Promise<void> => {
    await follower.get().then(
      (one) => one.close(),
      () => undefined,
    )
    hasher?.close()
    channel.close()
  }
  const manager: Manager = new Manager(options, {
    env,
    room,
    records,
    tasks,
    streams,
    follower,
    sourcesOf,
    channel,
    prefetch,
    close,
  })
  return manager
}

/** A source of any blob, as of `await openAsBlob(path)` under Node. */
export function sourceOf(blob: Blob, name: string, more: Partial<Source> = {}): Source {
  return { name, size: blob.size, type: blob.type, slice: (start, end) => blob.slice(start, end), ...more }
}

async function transportFor(protocol: Protocol, endpoint: string): Promise<Transport> {
  if (protocol === 'tus') return new (await import('./protocol/tus.js')).TusTransport(endpoint)
  if (protocol === 'ietf') return new (await import('./protocol/ietf.js')).IetfTransport(endpoint)
  return new (await import('./protocol/chunk.js')).ChunkTransport(endpoint)
}

const fetching: HttpClient = {
  send: async (request) => (await import('./net/fetch.js')).fetchClient.send(request),
  stream: async (request) => (await import('./net/fetch.js')).fetchStream(request),
}

/** Only `XMLHttpRequest` tells how much of a body is on its way. */
const telling: HttpClient = {
  ...fetching,
  send: async (request) => (await import('./net/xhr.js')).xhrSend(request),
}

function defaultNet(): HttpClient {
  return typeof XMLHttpRequest === 'undefined' ? fetching : telling
}

function defaultStore(): ResumeStore {
  if (typeof indexedDB === 'undefined') return new MemoryStore()
  const idb = new Lazy(async () => new (await import('./store/idb.js')).IdbStore())
  return {
    all: async () => (await idb.get()).all(),
    put: async (record) => (await idb.get()).put(record),
    delete: async (key) => (await idb.get()).delete(key),
  }
}

/** Closed before it was there, it never begins. */
function hasherIn(lazy: Lazy<Hasher>): Hasher {
  let made: Hasher | undefined
  let isClosed = false
  const get = async (): Promise<Hasher> => {
    made = await lazy.get()
    if (isClosed) throw new Error('the hasher was closed')
    return made
  }
  return {
    digest: async (data) => (await get()).digest(data),
    whole: async (data, watch) => (await get()).whole?.(data, watch) ?? '',
    close: () => {
      isClosed = true
      made?.close()
    },
  }
}
