import type { Clock, ResumeRecord, ResumeStore } from './seams.js'
import type { Source } from './types.js'

const EVERY = 500

/** What must survive a reload, of one endpoint and one scope. A store that fails costs resumption, never an upload. */
export class Records {
  #known: Map<string, ResumeRecord> | null = null
  readonly #late = new Map<string, () => void>()

  constructor(
    readonly store: ResumeStore | null,
    readonly clock: Clock,
    readonly own: Pick<ResumeRecord, 'endpoint' | 'protocol' | 'scope'>,
    readonly onFault: (error: unknown) => void,
  ) {}

  /** All of them as they were stored, and as this page has changed them since. */
  async load(anew = false): Promise<ResumeRecord[]> {
    if (!this.store) return []
    if (!this.#known || anew) {
      const { endpoint, protocol, scope } = this.own
      const all = (await this.#try(this.store.all())) ?? []
      const mine = all.filter((one) => one.endpoint === endpoint && one.protocol === protocol && one.scope === scope)
      this.#known = new Map(mine.map((one) => [one.key, one]))
    }
    return [...this.#known.values()]
  }

  /** The record of an unfinished upload of this very file, as far as can be told without reading it. */
  match(source: Source): ResumeRecord | undefined {
    for (const record of this.#known?.values() ?? []) if (isSame(record, source)) return record
    return undefined
  }

  /** Writes it, at most twice a second unless `now`. */
  save(record: ResumeRecord, now: boolean): void {
    const isNew = !this.#known?.has(record.key)
    this.#known ??= new Map()
    this.#known.set(record.key, record)
    if (now || isNew) this.#write(record.key)
    else if (!this.#late.has(record.key)) {
      this.#late.set(
        record.key,
        this.clock.after(EVERY, () => this.#write(record.key)),
      )
    }
  }

  drop(key: string): void {
    this.#late.get(key)?.()
    this.#late.delete(key)
    if (this.#known?.delete(key)) void this.#try(this.store?.delete(key))
  }

  /** Writes at once what was to be written later. */
  stop(): void {
    for (const key of [...this.#late.keys()]) this.#write(key)
  }

  #write(key: string): void {
    this.#late.get(key)?.()
    this.#late.delete(key)
    const record = this.#known?.get(key)
    if (record) void this.#try(this.store?.put(record))
  }

  async #try<T>(work: Promise<T> | undefined): Promise<T | undefined> {
    try {
      return await work
    } catch (error) {
      this.onFault(error)
      return undefined
    }
  }
}

type Looks = Pick<ResumeRecord, 'name' | 'size' | 'relativePath' | 'lastModified'>

/** Whether `source` can be the file of `record`. Its beginning is compared as well before a byte is sent. */
export function isSame(record: Looks, source: Source): boolean {
  return (
    record.name === source.name &&
    record.size === source.size &&
    (!record.relativePath || !source.relativePath || record.relativePath === source.relativePath) &&
    record.lastModified === (source.lastModified ?? 0)
  )
}
