/** How large the next chunk is: as much as goes in `targetMs` on one lane, in units of 256 KiB. */

export const UNIT = 256 * 1024
export const DEFAULT_SIZES = { min: UNIT, max: 16 * 1024 * 1024, targetMs: 4000 }
/** Of the chunks that a file may have; the rest is for retries with smaller ones. */
const ROOM = 0.8
const SMALLEST = 16 * 1024

export class ChunkSizer {
  #size: number
  #max: number
  #limit = Number.POSITIVE_INFINITY
  #min: number
  readonly #target: number

  constructor(said: number | { min?: number; max?: number; targetMs?: number } = {}) {
    const { min, max, targetMs } =
      typeof said === 'number'
        ? { min: Math.min(said, UNIT), max: said, targetMs: Number.POSITIVE_INFINITY }
        : { ...DEFAULT_SIZES, ...said }
    this.#min = Math.min(min, max)
    this.#max = max
    this.#target = targetMs
    this.#size = Math.min(max, typeof said === 'number' ? max : Math.max(min, 4 * UNIT))
  }

  get size(): number {
    return this.#size
  }

  /** No chunk may be larger. */
  cap(limit: number): void {
    this.#limit = Math.min(this.#limit, limit)
    this.#max = Math.max(1, Math.min(this.#max, limit >= UNIT ? limit - (limit % UNIT) : limit))
    this.#min = Math.min(this.#min, this.#max)
    this.#size = Math.min(this.#size, this.#max)
  }

  /** The size where a file of `total` bytes may have `count` chunks: larger than wanted, if it must be. */
  atLeast(total: number, count: number): number {
    const least = Math.ceil(total / Math.max(1, count * ROOM) / UNIT) * UNIT
    return total > this.#size * count * ROOM ? Math.min(least, this.#limit) : this.#size
  }

  /** A chunk of `bytes` went in `ms`. Grows at most twofold at a time. */
  acked(bytes: number, ms: number): void {
    if (bytes < this.#size / 2) return // the end of a file says little
    const want = (bytes / Math.max(ms, 1)) * this.#target
    const next = Math.min(Math.max(want, this.#size / 2), this.#size * 2)
    this.#size = Math.min(this.#max, Math.max(this.#min, next - (next % UNIT)))
  }

  /** A chunk of `bytes` stalled: the next are half as large. */
  stalled(bytes: number): void {
    this.#size = Math.min(this.#size, Math.max(Math.min(this.#min, this.#size), half(bytes)))
  }

  /** A chunk of `bytes` was refused as too large. False if no smaller one is worth a try. */
  refused(bytes: number, limit?: number): boolean {
    const next = limit && limit < bytes ? limit : Math.min(half(this.#size), half(bytes))
    if (next < SMALLEST) return false
    this.cap(next)
    return true
  }
}

function half(bytes: number): number {
  const part = Math.floor(bytes / 2)
  return part >= UNIT ? part - (part % UNIT) : part
}
