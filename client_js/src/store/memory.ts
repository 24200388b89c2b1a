import type { ResumeRecord, ResumeStore } from '../core/seams.js'

/** Forgets with the page. */
export class MemoryStore implements ResumeStore {
  readonly #records = new Map<string, ResumeRecord>()

  async all(): Promise<ResumeRecord[]> {
    return [...this.#records.values()]
  }

  async put(record: ResumeRecord): Promise<void> {
    this.#records.set(record.key, record)
  }

  async delete(key: string): Promise<void> {
    this.#records.delete(key)
  }
}
