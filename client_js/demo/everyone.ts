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
  readonly done: number | null
  readonly created_at: number
  readonly active_at: number
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

/** Most uploads that are kept; the newest stay. */
const MOST = 500
/** Seconds over which a rate is smoothed. */
const SMOOTH = 2

export class Everyone {
  readonly #entries = new Map<string, Entry>()

  /** The newest first. */
  list(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => b.created_at - a.created_at).slice(0, MOST)
  }

  get count(): number {
    return this.#entries.size
  }

  /** Takes rows as they are; `now` in milliseconds. */
  fill(rows: readonly UploadRow[], now: number): void {
    for (const row of rows) {
      const rate = this.#entries.get(row.id)?.rate ?? 0
      this.#entries.set(row.id, { ...row, rate, heardAt: now })
    }
  }

  /** Takes one event of the stream. */
  take(name: string, data: unknown, now: number): void {
    if (name === 'state') {
      this.fill((data as { uploads: UploadRow[] }).uploads, now)
      return
    }
    const said = data as Said
    const before = this.#entries.get(said.id) ?? blank(said, now)
    const changes = changesOf(name, said, before, now)
    if (changes) this.#entries.set(said.id, { ...before, ...changes })
    if (this.#entries.size > MOST * 2) for (const { id } of this.list().slice(MOST)) this.#entries.delete(id)
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
  const nothing = { name: null, owner: null, reason: null, length: null, received: 0, done: null }
  return { ...nothing, id: said.id, state: 'receiving', created_at: at, active_at: at, rate: 0, heardAt: now }
}

function changesOf(name: string, said: Said, before: Entry, now: number): Partial<Entry> | null {
  const at = said.at ?? now / 1000
  switch (name) {
    case 'created':
      return { name: said.name ?? null, length: said.length ?? null, state: 'receiving', created_at: at, active_at: at }
    case 'progress': {
      const received = said.received ?? before.received
      const length = said.length ?? before.length
      return { received, length, active_at: now / 1000, rate: rateOf(before, received, now), heardAt: now }
    }
    case 'sealed':
      return {
        state: 'verifying',
        length: said.length ?? before.length,
        received: said.length ?? before.received,
        rate: 0,
      }
    case 'verifying':
      return { state: said.phase ?? 'verifying', done: said.done ?? null, length: said.total ?? before.length }
    case 'published':
      return {
        state: 'done',
        done: null,
        received: said.size ?? before.received,
        length: said.size ?? before.length,
        rate: 0,
      }
    case 'failed':
      return { state: 'failed', reason: said.code ?? null, done: null, rate: 0 }
    case 'damaged':
      return { state: 'receiving', done: null, rate: 0 }
    case 'removed':
      return { state: said.state ?? 'cancelled', done: null, rate: 0 }
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
