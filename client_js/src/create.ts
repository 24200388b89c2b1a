import { ChunkSizer } from './core/adapt.js'
import { BACKOFF } from './core/backoff.js'
import { Gate } from './core/gate.js'
import { Manager } from './core/manager.js'
import { Records } from './core/records.js'
import type { Room } from './core/room.js'
import { Scheduler } from './core/scheduler.js'
import type { Env, Hasher, HttpClient, Protocol, ResumeStore, Transport } from './core/seams.js'
import { Speed } from './core/speed.js'
import type { Source, Uploader, UploaderOptions } from './core/types.js'
import { browserEnv } from './env/browser.js'
import { sourcesOf } from './env/inputs.js'
import { HashPool } from './hash/pool.js'
import { sha256 } from './hash/sha256.js'
import { startWorker } from './hash/start.js'
import { HttpCaller, headersFor } from './net/call.js'
import { fetchClient } from './net/fetch.js'
import { Follower } from './net/follow.js'
import { xhrClient } from './net/xhr.js'
import { ChunkTransport } from './protocol/chunk.js'
import { IetfTransport } from './protocol/ietf.js'
import { TusTransport } from './protocol/tus.js'
import { IdbStore } from './store/idb.js'
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
  const hasher = options.checksum === false ? null : (options.hasher ?? defaultHasher())
  const stallMs = options.stallTimeoutMs ?? (net === fetchClient ? STALL_UNSEEN : STALL)
  const credentials = options.withCredentials ?? false
  const via = new HttpCaller({ net, clock, headers: options.headers, credentials, stallMs })
  const { baseMs: base = BACKOFF.base, capMs: cap = BACKOFF.cap, maxElapsedMs = DAY } = options.retry ?? {}
  const probe = async (): Promise<boolean> => {
    try {
      await via.call({ method: 'HEAD', url: endpoint, headers: {} }, new AbortController().signal)
      return true // whatever it says
    } catch {
      return false
    }
  }
  const gate: Gate = new Gate(clock, options.probe === false ? null : probe, () => manager.connectionChanged())
  const parallel = options.parallel === undefined || options.parallel === 'auto' ? env.lanes() : options.parallel
  const room: Room = {
    options,
    clock,
    random: env.random,
    id: env.id,
    transport: options.transport ?? transportFor(protocol, endpoint),
    via,
    hasher,
    sizer: new ChunkSizer(options.chunkSize),
    gate,
    speed: new Speed(),
    scheduler: new Scheduler(parallel, clock, () => !gate.shut),
    backoff: { ...BACKOFF, base, cap },
    maxElapsedMs,
    body: options.body && options.body !== 'auto' ? options.body : env.body,
  }
  const store = options.persist === false ? null : (options.store ?? defaultStore())
  const own = { endpoint, protocol, scope: options.scope ?? '' }
  const records = new Records(store, clock, own, (error) => console.warn('onward-upload:', error))
  const { stream } = net
  const follower = new Follower({
    clock,
    via,
    locks: env.locks,
    channel: env.channel('onward:events'),
    lockName: `onward:events:${endpoint}`,
    stream: stream
      ? async (url, signal) => {
          const headers = await headersFor(options.headers, { Accept: 'text/event-stream' }, 'GET', url, false)
          const { status, text } = await stream({ method: 'GET', url, headers, credentials, signal })
          if (status !== 200) throw new Error(`no events: ${status}`)
          return text
        }
      : null,
  })
  const channel = env.channel(`onward:uploads:${endpoint}`)
  const close = (): void => {
    follower.close()
    hasher?.close()
    channel.close()
  }
  const manager: Manager = new Manager(options, { env, room, records, follower, sourcesOf, channel, close })
  return manager
}

/** A source of any blob, as of `await openAsBlob(path)` under Node. */
export function sourceOf(blob: Blob, name: string, more: Partial<Source> = {}): Source {
  return { name, size: blob.size, type: blob.type, slice: (start, end) => blob.slice(start, end), ...more }
}

function transportFor(protocol: Protocol, endpoint: string): Transport {
  if (protocol === 'tus') return new TusTransport(endpoint)
  return protocol === 'ietf' ? new IetfTransport(endpoint) : new ChunkTransport(endpoint)
}

function defaultNet(): HttpClient {
  return typeof XMLHttpRequest === 'undefined' ? fetchClient : xhrClient
}

function defaultStore(): ResumeStore {
  return typeof indexedDB === 'undefined' ? new MemoryStore() : new IdbStore()
}

function defaultHasher(): Hasher {
  return typeof Worker === 'undefined' ? sha256 : new HashPool(startWorker, async () => sha256)
}
