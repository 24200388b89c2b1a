import type { Channel, Env, Hasher, Locks, ResumeStore } from '../../src/core/seams.js'
import type { Source, Uploader, UploaderOptions } from '../../src/core/types.js'
import { createUploader } from '../../src/create.js'
import { LocalLocks } from '../../src/env/locks.js'
import { MemoryStore } from '../../src/store/memory.js'
import { FakeClock, settle } from './clock.js'
import { FakeServer, sha } from './server.js'

export const UNIT = 256 * 1024

/** Bytes that differ everywhere, the same for the same seed. */
export function noise(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  let x = seed * 2654435761
  for (let at = 0; at < size; at++) {
    x = (x * 1664525 + 1013904223) >>> 0
    bytes[at] = x >>> 24
  }
  return bytes
}

export function fileOf(name: string, bytes: Uint8Array<ArrayBuffer>, more: Partial<Source> = {}): Source {
  return { name, size: bytes.length, lastModified: 7, slice: (start, end) => bytes.slice(start, end), ...more }
}

export const nodeHasher: Hasher = {
  digest: async (data) => sha(data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data),
  whole: async (data) => sha(new Uint8Array(await data.arrayBuffer())),
  close: () => undefined,
}

/** All that a page would find around it, in memory: one world may have several tabs. */
export class World {
  readonly clock = new FakeClock()
  readonly server = new FakeServer(this.clock)
  readonly locks: Locks = new LocalLocks()
  readonly store: ResumeStore = new MemoryStore()
  readonly awake: boolean[] = []
  readonly leaving: boolean[] = []
  draw = 0.5
  gone: () => void = () => undefined
  back: () => void = () => undefined
  readonly #channels = new Map<string, Set<(message: unknown) => void>>()
  readonly #tabs: Uploader[] = []
  #ids = 0

  tab(options: Partial<UploaderOptions> = {}): Uploader {
    const env: Partial<Env> = {
      clock: this.clock,
      random: () => this.draw,
      id: () => `k${++this.#ids}`,
      locks: this.locks,
      channel: (name) => this.#channel(name),
      watchNetwork: (on) => {
        this.gone = on.gone
        this.back = on.back
        return () => undefined
      },
      keepAwake: (on) => this.awake.push(on),
      warnOnLeave: (on) => this.leaving.push(on),
      lanes: () => 4,
      body: 'buffer',
    }
    const uploader = createUploader({
      endpoint: 'http://test/upload',
      net: this.server,
      hasher: nodeHasher,
      store: this.store,
      chunkSize: { min: UNIT, max: UNIT },
      ...options,
      env: { ...env, ...options.env },
    })
    this.#tabs.push(uploader)
    return uploader
  }

  /** Long enough for whatever does not have to wait for long. */
  async run(ms = 60_000): Promise<void> {
    await import('../../src/net/follow.js') // which the client loads in the background
    await settle()
    await this.clock.pass(ms)
    await settle()
  }

  async end(): Promise<void> {
    await Promise.all(this.#tabs.map((tab) => tab[Symbol.asyncDispose]()))
  }

  #channel(name: string): Channel {
    const all = this.#channels.get(name) ?? new Set()
    this.#channels.set(name, all)
    const own = new Set<(message: unknown) => void>()
    return {
      post: (message) => {
        for (const fn of all) if (!own.has(fn)) queueMicrotask(() => fn(structuredClone(message)))
      },
      listen: (fn) => {
        own.add(fn)
        all.add(fn)
        return () => all.delete(fn)
      },
      close: () => undefined,
    }
  }
}
