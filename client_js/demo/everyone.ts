/** Everybody's uploads as the server tells them: what its list says, moved on by its events. */

/** A row of `GET /uploads`, and of the first event. */
export interface UploadRow {
  readonly id: string
  readonly name: string | null
  readonly owner: string | null
  readonly state: string
  readonly reason: string | null
  readonly length: number | null
  readonly received: number
  /** Bytes on the disk for it. */
  readonly kept: number
  readonly done: number | null
  /** How full each of at most 64 equal parts is, a digit each; null where that was not asked for. */
  readonly map: string | null
  readonly created_at: number
  readonly active_at: number
  readonly expires_at: number | null
}

/** How the server stands as a whole. */
export interface Room {
  readonly free: number | null
  readonly floor: number
  readonly promised: number
  readonly waiting: number
}

export interface Entry extends UploadRow {
  /** Bytes per second, smoothed; 0 while nothing comes. */
  readonly rate: number
  /** When `received` was last heard of, in milliseconds. */
  readonly heardAt: number
}

type Said = Partial<UploadRow> & {
  readonly id: string
  readonly at?: number
  readonly size?: number
  readonly phase?: string
  readonly total?: number
  readonly code?: string
}

export const FILTERS = ['all', 'active', 'done', 'failed', 'ended'] as const
export type Filter = (typeof FILTERS)[number]

/** The states that belong to each, as `GET /uploads` names them; none for all. */
export const STATES: Readonly<Record<Filter, readonly string[]>> = {
  all: [],
  active: ['receiving', 'assembling', 'verifying'],
  done: ['done'],
  failed: ['failed'],
  ended: ['cancelled', 'expired'],
}

/** Most uploads that are kept; the newest stay. */
const MOST = 2000
/** Seconds over which a rate is smoothed. */
const SMOOTH = 2

export class Everyone {
  readonly #entries = new Map<string, Entry>()
  /** Known once the server has told it. */
  room: Room | null = null

  /** The newest first: those of a filter whose name, owner or id has these letters in it. */
  list(filter: Filter = 'all', letters = ''): Entry[] {
    const states = STATES[filter]
    const sought = letters.trim().toLocaleLowerCase()
    const isWanted = (entry: Entry) =>
      (states.length === 0 || states.includes(entry.state)) &&
      [entry.name, entry.owner, entry.id].some((text) => text?.toLocaleLowerCase().includes(sought))
    return this.#newest().filter(isWanted)
  }

  /** Bytes per second of all uploads together. */
  get rate(): number {
    let sum = 0
    for (const entry of this.#entries.values()) sum += entry.rate
    return sum
  }

  #newest(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => b.created_at - a.created_at).slice(0, MOST)
  }

  /** Takes rows as they are; `now` in milliseconds. */
  fill(rows: readonly UploadRow[], now: number): void {
    for (const row of rows) {
      const before = this.#entries.get(row.id)
      // The first event of a stream has no maps; what is known of an upload that goes on stays.
      const map = row.map ?? (row.state === 'receiving' ? (before?.map ?? null) : null)
      this.#entries.set(row.id, { ...row, map, rate: before?.rate ?? 0, heardAt: now })
    }
  }

  /** Takes one event of the stream. */
  take(name: string, data: unknown, now: number): void {
    if (name === 'state') {
      this.fill((data as { uploads: UploadRow[] }).uploads, now)
      return
    }
    if (name === 'server') {
      this.room = data as Room
      return
    }
    const said = data as Said
    const before = this.#entries.get(said.id) ?? blank(said, now)
    const changes = changesOf(name, said, before, now)
    if (changes) this.#entries.set(said.id, { ...before, ...changes })
    if (this.#entries.size > MOST * 2) this.#forget()
  }

  #forget(): void {
    const kept = new Set(this.#newest().map((entry) => entry.id))
    for (const id of this.#entries.keys()) if (!kept.has(id)) this.#entries.delete(id)
  }

  /** Nothing has come for a while: what stands still has no speed. */
  settle(now: number): void {
    for (const [id, entry] of this.#entries) {
      if (entry.rate > 0 && now - entry.heardAt > 3000) this.#entries.set(id, { ...entry, rate: 0 })
    }
  }
}

function blank(said: Said, now: number): Entry {
  const at = said.at ?? now / 1000
  const unknown = { name: null, owner: null, reason: null, length: null, done: null, map: null, expires_at: null }
  const nothing = { ...unknown, received: 0, kept: 0 }
  return { ...nothing, id: said.id, state: 'receiving', created_at: at, active_at: at, rate: 0, heardAt: now }
}

/** What is left of an upload that has come to nothing. */
const OVER = { kept: 0, done: null, map: null, expires_at: null, rate: 0 }

function changesOf(name: string, said: Said, before: Entry, now: number): Partial<Entry> | null {
  const at = said.at ?? now / 1000
  switch (name) {
    case 'created':
      return { name: said.name ?? null, length: said.length ?? null, state: 'receiving', created_at: at, active_at: at }
    case 'progress': {
      const received = said.received ?? before.received
      const length = said.length ?? before.length
      const rate = rateOf(before, received, now)
      // As long as it has: an upload is given up so many seconds after its last byte.
      const expires_at = before.expires_at === null ? null : before.expires_at - before.active_at + now / 1000
      const map = said.map ?? before.map
      return { received, kept: received, length, map, expires_at, active_at: now / 1000, rate, heardAt: now }
    }
    case 'sealed':
      return {
        state: 'verifying',
        length: said.length ?? before.length,
        received: said.length ?? before.received,
        map: null,
        expires_at: null,
        rate: 0,
      }
    case 'verifying':
      return { state: said.phase ?? 'verifying', done: said.done ?? null, length: said.total ?? before.length }
    case 'published':
      return {
        state: 'done',
        done: null,
        received: said.size ?? before.received,
        kept: said.size ?? before.kept,
        length: said.size ?? before.length,
        map: null,
        expires_at: null,
        rate: 0,
      }
    case 'failed':
      return { state: 'failed', reason: said.code ?? null, ...OVER }
    case 'damaged':
      return { state: 'receiving', done: null, rate: 0 }
    case 'removed':
      return { state: said.state ?? 'cancelled', received: 0, ...OVER }
    default:
      return null
  }
}

function rateOf(before: Entry, received: number, now: number): number {
  const seconds = (now - before.heardAt) / 1000
  if (seconds <= 0) return before.rate
  const current = Math.max(0, received - before.received) / seconds
  const weight = 1 - Math.exp(-seconds / SMOOTH)
  return before.rate === 0 ? current : before.rate + (current - before.rate) * weight
}
